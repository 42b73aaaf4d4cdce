// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC4906} from "@openzeppelin/contracts/interfaces/IERC4906.sol";
import {IERC721Metadata} from "@openzeppelin/contracts/token/ERC721/extensions/IERC721Metadata.sol";

import {IERC5192, IERC6454, IERC7572} from "./ISoulbound.sol";
import {IPassArt} from "./IPassArt.sol";
import {State} from "../types/MemberSlot.sol";

/// @notice The message by which the attestor lets passes be issued.
/// @param role 1 creator, 2 worker.
/// @param accounts Who gets one: strictly ascending.
/// @param deadline The last second, in Unix time, at which it may be carried.
struct Issuance {
    uint8 role;
    address[] accounts;
    uint64 deadline;
}

/// @title The VIP pass of the Pictor Network: a soulbound ERC-721, at most one of each role for a wallet.
/// @notice Nothing moves or approves a pass: `approve`, `setApprovalForAll` and all transfers revert {Soulbound}.
/// @notice `passId = role << 160 | owner`. Everything that takes an id checks the whole word, and reverts {InvalidPass}
///         ({ownerOf}, {getApproved}, {locked}, {isTransferable}, {issuedAt}, {tokenURI}: ERC721NonexistentToken).
/// @notice NOT protected against: an attestor whose majority is dishonest, up to the daily limit; a guardian who revokes
///         without cause. A revoked wallet keeps its rights to be reinstated, and nothing else.
interface IVIPPass is IERC721Metadata, IERC4906, IERC5192, IERC6454, IERC7572 {
    // ------------------------------------------------------------------------------------------------------- errors

    /// @notice A pass cannot be moved or approved.
    error Soulbound();
    /// @notice The issuance could be carried until `deadline` only.
    error IssuanceExpired(uint64 deadline);
    /// @notice The issuance names no account.
    error NoAccounts();
    /// @notice `account` does not come after `previous`: out of order, there twice, or zero.
    error AccountsNotAscending(address previous, address account);
    /// @notice `attestor` did not sign `digest`.
    error InvalidSignature(address attestor, bytes32 digest);
    /// @notice More passes than the `left` that may still be issued this UTC day.
    error IssueLimit(uint256 left);
    /// @notice `caller` does not hold the pass.
    error NotHolder(address caller, uint256 passId);
    /// @notice The pass is revoked already.
    error AlreadyRevoked(uint256 passId);
    /// @notice The pass is not revoked.
    error NotRevoked(uint256 passId);
    /// @notice A revocation needs a reason.
    error NoReason();
    /// @notice Nothing that the art shows has changed since revision `revision`.
    error NothingToRefresh(uint256 revision);
    /// @notice Nobody can sign as `attestor`.
    error InvalidAttestor(address attestor);
    /// @notice There is no contract at `art`.
    error InvalidArt(address art);

    // ------------------------------------------------------------------------------------------------------- events

    /// @notice The guardian took the pass, or the right to it, away.
    event Revoked(uint256 indexed passId, string reason);
    /// @notice The guardian gave back what {Revoked} took; `issuedAt` as it was, 0 if never issued.
    event Reinstated(uint256 indexed passId, uint64 issuedAt);
    event AttestorSet(address indexed attestor);
    event ArtSet(address indexed art);
    event IssueLimitSet(uint32 issueLimit);

    // ------------------------------------------------------------------------------------------------------ members

    /// @notice Issues passes straight to the wallets; anyone may carry it. Skips who holds one, who is revoked, and who has
    ///         burned theirs unless that wallet is the caller: so carrying it again is harmless, and does nothing.
    /// @dev Emits `Transfer` and `Locked` for each pass issued. Calls no receiver hook.
    /// @param signature The attestor's, over {issuanceDigest}.
    function issue(Issuance calldata issuance, bytes calldata signature) external;

    /// @notice Gives up the caller's own pass; works always. It comes back only if the wallet itself carries an issuance.
    function burn(uint256 passId) external;

    /// @notice `BatchMetadataUpdate` for all passes, by anyone. Reverts {NothingToRefresh} unless the art has changed.
    function refresh() external;

    // ----------------------------------------------------------------------------------------------------- guardian

    /// @notice Takes a pass away, or the right to get it: held or not, so no burn can outrun it.
    function revoke(uint256 passId, string calldata reason) external;

    /// @notice Undoes {revoke}: state and time of issue are what they were.
    function reinstate(uint256 passId) external;

    /// @notice Stops {issue}, and nothing else.
    function pause() external;

    // ----------------------------------------------------------------------------------------------------- governor

    function unpause() external;

    /// @param attestor A key, or a contract that speaks ERC-1271. Issuances signed by the one before are void at once.
    function setAttestor(address attestor) external;

    function setArt(IPassArt art) external;

    /// @param issueLimit Passes per UTC day.
    function setIssueLimit(uint32 issueLimit) external;

    // ------------------------------------------------------------------------------------------------------ readers

    /// @notice Whether `account` holds a pass of `role` now.
    function isVip(address account, uint8 role) external view returns (bool);

    /// @notice The id that the pass of `account` has, held or not.
    function passIdOf(address account, uint8 role) external pure returns (uint256);

    /// @notice All there is to know of a pass, held or not. `issuedAt` is of the last issue, 0 if never issued.
    function statusOf(uint256 passId) external view returns (State state, bool revoked, uint64 issuedAt);

    /// @notice When the pass was issued, Unix time. Reverts for one that is not held.
    function issuedAt(uint256 passId) external view returns (uint64);

    /// @notice How many passes of `role` are held now.
    function members(uint8 role) external view returns (uint256);

    /// @notice How many wallets were ever issued a pass of `role`, whatever became of it. Never falls.
    function everIssued(uint8 role) external view returns (uint256);

    /// @notice How many passes may be issued in a UTC day.
    function issueLimit() external view returns (uint32);

    /// @notice How many passes may still be issued this UTC day.
    function issuesLeft() external view returns (uint256);

    /// @notice Who signs issuances.
    function attestor() external view returns (address);

    function art() external view returns (IPassArt);

    /// @notice What the attestor signs: the EIP-712 digest of `Issuance(uint8 role,address[] accounts,uint64 deadline)`.
    function issuanceDigest(Issuance calldata issuance) external view returns (bytes32);
}
