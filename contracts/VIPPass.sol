// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC165} from "@openzeppelin/contracts/interfaces/IERC165.sol";
import {IERC4906} from "@openzeppelin/contracts/interfaces/IERC4906.sol";
import {IERC721} from "@openzeppelin/contracts/interfaces/IERC721.sol";
import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC721Metadata} from "@openzeppelin/contracts/token/ERC721/extensions/IERC721Metadata.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

import {IERC5192, IERC6454, IERC7572} from "./interfaces/ISoulbound.sol";
import {IPassArt} from "./interfaces/IPassArt.sol";
import {Issuance, IVIPPass} from "./interfaces/IVIPPass.sol";
import {CREATOR, PassId} from "./types/PassId.sol";
import {MemberSlot, State} from "./types/MemberSlot.sol";

/// @title VIPPass
/// @notice See {IVIPPass}.
contract VIPPass is IVIPPass, IERC721Errors, AccessManaged, Pausable, EIP712 {
    string public constant name = "Pictor VIP Pass";
    string public constant symbol = "PVIP";

    bytes32 private constant ISSUANCE_TYPEHASH = keccak256("Issuance(uint8 role,address[] accounts,uint64 deadline)");

    /// @dev One slot. 2^32 passes cost more gas than all blocks of a century hold, so no count can overflow.
    struct Counters {
        uint32 creators;
        uint32 workers;
        uint32 creatorsEver;
        uint32 workersEver;
        uint32 issueLimit;
        uint32 day;
        uint32 issuedToday;
    }

    /// @inheritdoc IVIPPass
    address public attestor;
    /// @inheritdoc IVIPPass
    IPassArt public art;
    uint256 private _revision;
    Counters private _counters;
    mapping(address account => MemberSlot) private _slots;

    constructor(address authority, address attestor_, uint32 issueLimit_) AccessManaged(authority) EIP712(name, "1") {
        _setAttestor(attestor_);
        _setIssueLimit(issueLimit_);
    }

    // ------------------------------------------------------------------------------------------------------ members

    /// @inheritdoc IVIPPass
    function issue(Issuance calldata issuance, bytes calldata signature) external whenNotPaused {
        uint8 role = issuance.role;
        address[] calldata accounts = issuance.accounts;
        PassId.checkRole(role);
        require(accounts.length != 0, NoAccounts());
        require(block.timestamp <= issuance.deadline, IssuanceExpired(issuance.deadline));
        bytes32 digest = issuanceDigest(issuance);
        address attestor_ = attestor;
        require(SignatureChecker.isValidSignatureNowCalldata(attestor_, digest, signature), InvalidSignature(attestor_, digest));

        uint32 issued;
        uint32 first; // of them, to wallets that never had one
        address previous;
        for (uint256 i; i < accounts.length; ++i) {
            address account = accounts[i];
            require(account > previous, AccountsNotAscending(previous, account));
            previous = account;
            MemberSlot slot = _slots[account];
            (State state, bool revoked,) = slot.get(role);
            if (revoked || state == State.Held || (state == State.Burned && account != msg.sender)) continue;

            _slots[account] = slot.set(role, State.Held, false, uint64(block.timestamp));
            _emitIssued(account, PassId.pack(account, role));
            // At most accounts.length, which the gas of a block bounds far below 2^32.
            unchecked {
                ++issued;
                if (state == State.None) ++first;
            }
        }
        if (issued != 0) _countIssued(role, issued, first);
    }

    /// @inheritdoc IVIPPass
    function burn(uint256 passId) external {
        (address account, uint8 role) = PassId.split(passId);
        MemberSlot slot = _slots[account];
        require(msg.sender == account && slot.holds(role), NotHolder(msg.sender, passId));
        (,, uint64 issuedAt_) = slot.get(role);
        _slots[account] = slot.set(role, State.Burned, false, issuedAt_);
        _countGone(role);
        emit Transfer(account, address(0), passId);
    }

    /// @inheritdoc IVIPPass
    function refresh() external {
        uint256 revision = art.revision();
        require(revision != _revision, NothingToRefresh(revision));
        _revision = revision;
        emit BatchMetadataUpdate(0, type(uint256).max);
    }

    // ----------------------------------------------------------------------------------------------------- guardian

    /// @inheritdoc IVIPPass
    function revoke(uint256 passId, string calldata reason) external restricted {
        (address account, uint8 role) = PassId.split(passId);
        require(bytes(reason).length != 0, NoReason());
        MemberSlot slot = _slots[account];
        (State state, bool revoked, uint64 issuedAt_) = slot.get(role);
        require(!revoked, AlreadyRevoked(passId));
        _slots[account] = slot.set(role, state, true, issuedAt_);
        if (state == State.Held) {
            _countGone(role);
            emit Transfer(account, address(0), passId);
        }
        emit Revoked(passId, reason);
    }

    /// @inheritdoc IVIPPass
    function reinstate(uint256 passId) external restricted {
        (address account, uint8 role) = PassId.split(passId);
        MemberSlot slot = _slots[account];
        (State state, bool revoked, uint64 issuedAt_) = slot.get(role);
        require(revoked, NotRevoked(passId));
        _slots[account] = slot.set(role, state, false, issuedAt_);
        if (state == State.Held) {
            role == CREATOR ? ++_counters.creators : ++_counters.workers;
            _emitIssued(account, passId);
        }
        emit Reinstated(passId, issuedAt_);
    }

    /// @inheritdoc IVIPPass
    function pause() external restricted {
        _pause();
    }

    // ----------------------------------------------------------------------------------------------------- governor

    /// @inheritdoc IVIPPass
    function unpause() external restricted {
        _unpause();
    }

    /// @inheritdoc IVIPPass
    function setAttestor(address attestor_) external restricted {
        _setAttestor(attestor_);
    }

    /// @inheritdoc IVIPPass
    function setArt(IPassArt art_) external restricted {
        require(address(art_).code.length != 0, InvalidArt(address(art_)));
        art = art_;
        emit ArtSet(address(art_));
        emit ContractURIUpdated();
        emit BatchMetadataUpdate(0, type(uint256).max);
    }

    /// @inheritdoc IVIPPass
    function setIssueLimit(uint32 issueLimit_) external restricted {
        _setIssueLimit(issueLimit_);
    }

    // ------------------------------------------------------------------------------------------------------ readers

    /// @inheritdoc IVIPPass
    function isVip(address account, uint8 role) public view returns (bool) {
        PassId.checkRole(role);
        return _slots[account].holds(role);
    }

    /// @inheritdoc IVIPPass
    function passIdOf(address account, uint8 role) external pure returns (uint256 passId) {
        PassId.checkRole(role);
        passId = PassId.pack(account, role);
        PassId.split(passId);
    }

    /// @inheritdoc IVIPPass
    function statusOf(uint256 passId) external view returns (State state, bool revoked, uint64 issuedAt_) {
        (address account, uint8 role) = PassId.split(passId);
        return _slots[account].get(role);
    }

    /// @inheritdoc IVIPPass
    function issuedAt(uint256 passId) external view returns (uint64 issuedAt_) {
        (address account, uint8 role) = _requireHeld(passId);
        (,, issuedAt_) = _slots[account].get(role);
    }

    /// @inheritdoc IVIPPass
    function members(uint8 role) external view returns (uint256) {
        PassId.checkRole(role);
        return role == CREATOR ? _counters.creators : _counters.workers;
    }

    /// @inheritdoc IVIPPass
    function everIssued(uint8 role) external view returns (uint256) {
        PassId.checkRole(role);
        return role == CREATOR ? _counters.creatorsEver : _counters.workersEver;
    }

    /// @inheritdoc IVIPPass
    function issueLimit() external view returns (uint32) {
        return _counters.issueLimit;
    }

    /// @inheritdoc IVIPPass
    function issuesLeft() external view returns (uint256) {
        return _issuesLeft(_counters);
    }

    /// @inheritdoc IVIPPass
    function issuanceDigest(Issuance calldata issuance) public view returns (bytes32) {
        bytes32 accountsHash = keccak256(abi.encodePacked(issuance.accounts));
        return _hashTypedDataV4(keccak256(abi.encode(ISSUANCE_TYPEHASH, issuance.role, accountsHash, issuance.deadline)));
    }

    // ------------------------------------------------------------------------- ERC-721, 5192, 6454, 4906, 7572, 165

    /// @inheritdoc IERC721
    function ownerOf(uint256 passId) external view returns (address owner) {
        (owner,) = _requireHeld(passId);
    }

    /// @inheritdoc IERC721
    function balanceOf(address owner) external view returns (uint256 balance) {
        require(owner != address(0), ERC721InvalidOwner(owner));
        MemberSlot slot = _slots[owner];
        for (uint8 role = 1; role <= 2; ++role) {
            if (slot.holds(role)) ++balance;
        }
    }

    /// @inheritdoc IERC5192
    function locked(uint256 passId) external view returns (bool) {
        _requireHeld(passId);
        return true;
    }

    /// @inheritdoc IERC6454
    /// @dev True of the mint and the burn that the rules allow, never of a move.
    function isTransferable(uint256 passId, address from, address to) external view returns (bool) {
        if (from == address(0)) {
            if (!PassId.isValid(passId) || to != address(uint160(passId))) return false;
            (State state, bool revoked,) = _slots[to].get(uint8(passId >> 160));
            return state != State.Held && !revoked;
        }
        (address owner,) = _requireHeld(passId);
        return from == owner && to == address(0);
    }

    /// @inheritdoc IERC721Metadata
    function tokenURI(uint256 passId) external view returns (string memory) {
        _requireHeld(passId);
        return art.tokenURI(passId);
    }

    /// @inheritdoc IERC7572
    function contractURI() external view returns (string memory) {
        return art.contractURI();
    }

    /// @inheritdoc IERC721
    function getApproved(uint256 passId) external view returns (address) {
        _requireHeld(passId);
        return address(0);
    }

    /// @inheritdoc IERC721
    function isApprovedForAll(address, address) external pure returns (bool) {
        return false;
    }

    /// @inheritdoc IERC721
    function approve(address, uint256) external pure {
        revert Soulbound();
    }

    /// @inheritdoc IERC721
    function setApprovalForAll(address, bool) external pure {
        revert Soulbound();
    }

    /// @inheritdoc IERC721
    function transferFrom(address, address, uint256) external pure {
        revert Soulbound();
    }

    /// @inheritdoc IERC721
    function safeTransferFrom(address, address, uint256) external pure {
        revert Soulbound();
    }

    /// @inheritdoc IERC721
    function safeTransferFrom(address, address, uint256, bytes calldata) external pure {
        revert Soulbound();
    }

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 id) external pure returns (bool) {
        return id == type(IERC165).interfaceId || id == type(IERC721).interfaceId || id == type(IERC721Metadata).interfaceId
            || id == type(IERC5192).interfaceId || id == type(IERC6454).interfaceId || id == bytes4(0x49064906); // ERC-4906
    }

    // ----------------------------------------------------------------------------------------------------- internal

    function _emitIssued(address account, uint256 passId) private {
        emit Transfer(address(0), account, passId);
        emit Locked(passId);
    }

    /// @dev Adds to the counters, within the limit of the UTC day.
    function _countIssued(uint8 role, uint32 issued, uint32 first) private {
        Counters memory counters = _counters;
        uint256 left = _issuesLeft(counters);
        require(issued <= left, IssueLimit(left));
        uint32 today = _today();
        counters.issuedToday = issued + (counters.day == today ? counters.issuedToday : 0);
        counters.day = today;
        if (role == CREATOR) {
            counters.creators += issued;
            counters.creatorsEver += first;
        } else {
            counters.workers += issued;
            counters.workersEver += first;
        }
        _counters = counters;
    }

    function _countGone(uint8 role) private {
        role == CREATOR ? --_counters.creators : --_counters.workers;
    }

    function _issuesLeft(Counters memory counters) private view returns (uint256) {
        uint256 issuedToday = counters.day == _today() ? counters.issuedToday : 0;
        // The limit may have been lowered below what was issued today.
        return issuedToday < counters.issueLimit ? counters.issueLimit - issuedToday : 0;
    }

    function _today() private view returns (uint32) {
        return uint32(block.timestamp / 1 days);
    }

    function _requireHeld(uint256 passId) private view returns (address account, uint8 role) {
        require(PassId.isValid(passId), ERC721NonexistentToken(passId));
        (account, role) = PassId.split(passId);
        require(_slots[account].holds(role), ERC721NonexistentToken(passId));
    }

    function _setAttestor(address attestor_) private {
        require(attestor_ != address(0), InvalidAttestor(attestor_));
        attestor = attestor_;
        emit AttestorSet(attestor_);
    }

    function _setIssueLimit(uint32 issueLimit_) private {
        _counters.issueLimit = issueLimit_;
        emit IssueLimitSet(issueLimit_);
    }
}
