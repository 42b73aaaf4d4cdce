// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IVIPPass} from "./IVIPPass.sol";

/// @notice The scores of one epoch, as the attestor signs them.
/// @param epoch The epoch, which ended at `epoch * EPOCH_LENGTH`.
/// @param root Merkle root of the standings, as OpenZeppelin's StandardMerkleTree makes it (leaves unsorted, pairs sorted).
/// @param policyHash Hash of the rules that made the scores.
/// @param archiveHash SHA-256 of the manifest of the epoch's archive.
/// @param creators How many standings of creators the tree has; `workers` likewise.
struct Report {
    uint64 epoch;
    bytes32 root;
    bytes32 policyHash;
    bytes32 archiveHash;
    uint32 creators;
    uint32 workers;
}

/// @notice One leaf of a report: `keccak256(bytes.concat(keccak256(abi.encode(passId, score, rank))))`.
/// @param passId The pass, see {IVIPPass}.
/// @param score In micro-points.
/// @param rank From 1, within the role.
struct Standing {
    uint256 passId;
    uint64 score;
    uint32 rank;
}

/// @notice What the registry knows of a report.
/// @param submittedAt Unix time; `activatesAt` likewise.
/// @param isVoid Vetoed or challenged: never to be believed again.
struct PostedReport {
    uint64 epoch;
    bytes32 root;
    uint32 creators;
    uint32 workers;
    uint64 submittedAt;
    uint64 activatesAt;
    bool isVoid;
}

/// @title The priority scores of the holders of VIP passes, epoch by epoch.
///
///     submit ──▶ pending ──ACTIVATION_DELAY──▶ active ──the next one is active──▶ superseded ──64 reports──▶ forgotten
///                   │                             │                                  │
///                   └────── veto, challenge ──────┴──────────────────────────────────┴──▶ void, for ever
///
/// @notice At most one report is pending. The active report is the newest that is past its delay and not void; there may be
///         none. A void epoch is repaired by the next one only.
/// @notice NOT protected against: scores that are plausible but wrong, signed by a dishonest majority. {challenge} finds
///         contradictions, not lies: no omissions, no gaps in the ranks, no leaf that is there twice to the letter. Check
///         the epoch against its archive, and bound the age of {activeReport} by `submittedAt`.
interface IScoreRegistry {
    // ------------------------------------------------------------------------------------------------------- errors

    /// @notice `epoch` is not yet active: wait, or let it be voided.
    error ReportPending(uint64 epoch);
    /// @notice Epochs rise; the last one was `last`.
    error EpochNotAfterLast(uint64 epoch, uint64 last);
    /// @notice The epoch ends at `end` (Unix time), which has not come.
    error EpochInFuture(uint64 epoch, uint256 end);
    error ZeroRoot();
    /// @notice A report has at least one standing.
    error NoMembers();
    /// @notice `attestor` did not sign `digest`.
    error InvalidSignature(address attestor, bytes32 digest);
    /// @notice No report of that epoch, or one that is forgotten.
    error UnknownEpoch(uint64 epoch);
    /// @notice The report is void already.
    error AlreadyVoid(uint64 epoch);
    /// @notice Standings are stored of the active and of the pending report only.
    error NotCurrent(uint64 epoch);
    error NoStandings();
    /// @notice No proof, where the report has `members` standings.
    error EmptyProof(uint64 epoch, uint256 members);
    /// @notice The proof does not lead to the root of that epoch. `passId` is 0 for a multiproof.
    error InvalidProof(uint64 epoch, uint256 passId);
    /// @notice Both standings can be true.
    error NoContradiction(uint64 epoch);
    /// @notice A veto needs a reason.
    error NoReason();
    /// @notice Nobody can sign as `attestor`.
    error InvalidAttestor(address attestor);
    /// @notice An epoch is a whole number of minutes, at least one.
    error InvalidEpochLength(uint256 epochLength);
    /// @notice The delay is shorter than an epoch.
    error InvalidActivationDelay(uint256 activationDelay);
    /// @notice The share is from 1 to 10 000 hundredths of a per cent.
    error InvalidPriorityShare(uint256 priorityShareBps);

    // ------------------------------------------------------------------------------------------------------- events

    event Submitted(
        uint64 indexed epoch,
        bytes32 root,
        bytes32 policyHash,
        bytes32 archiveHash,
        uint32 creators,
        uint32 workers,
        uint64 activatesAt
    );
    /// @notice `by` is the guardian who vetoed, or anyone who proved a contradiction.
    event Voided(uint64 indexed epoch, address indexed by, string reason);
    /// @notice `standings` proven standings of `epoch` were stored.
    event Synced(uint64 indexed epoch, uint256 standings);
    event AttestorSet(address indexed attestor);

    // -------------------------------------------------------------------------------------------------------- posts

    /// @notice Posts a report; anyone may carry it.
    /// @param signature The attestor's, over {reportDigest}.
    function submit(Report calldata report, bytes calldata signature) external;

    /// @notice Voids a report whose standings cannot be true; anyone may. Either two that exclude each other (same role, and:
    ///         same pass with another score or rank, same rank with another pass, better rank with a lower score), or, passed
    ///         twice, one that is false by itself: an invalid id, a wallet never issued that role, rank 0 or above the number
    ///         of that role, or a number of that role above all ever issued. No honest report can be voided so.
    function challenge(
        uint64 epoch,
        Standing calldata a,
        bytes32[] calldata proofA,
        Standing calldata b,
        bytes32[] calldata proofB
    ) external;

    /// @notice Stores proven standings of the active or the pending report, for {scoreOf} and {isPrioritized}; anyone may.
    /// @dev One multiproof in OpenZeppelin's form, standings in its order. Invalid ids revert `InvalidPass`.
    function sync(uint64 epoch, Standing[] calldata standings, bytes32[] calldata proof, bool[] calldata flags) external;

    // ----------------------------------------------------------------------------------------------------- guardian

    /// @notice Voids a report that is still remembered.
    function veto(uint64 epoch, string calldata reason) external;

    /// @notice Stops {submit} and {sync}, and nothing else: the activation clock runs on.
    function pause() external;

    // ----------------------------------------------------------------------------------------------------- governor

    function unpause() external;

    /// @param attestor A key, or a contract that speaks ERC-1271. Reports signed by the one before are void at once.
    function setAttestor(address attestor) external;

    // ------------------------------------------------------------------------------------------------------ readers

    /// @notice Whether `account` is among the best PRIORITY_SHARE_BPS of `role`: by the stored standing of the active report,
    ///         while the pass is held.
    function isPrioritized(address account, uint8 role) external view returns (bool);

    /// @notice The same by proof, for a standing that is not stored. A malformed standing or proof reverts, one that is not
    ///         of the active report is false.
    function isPrioritized(Standing calldata standing, bytes32[] calldata proof) external view returns (bool);

    /// @notice The stored score of the active report, in micro-points; 0 without one, or without the pass.
    function scoreOf(address account, uint8 role) external view returns (uint64);

    /// @notice The newest stored standing of a report that was activated and is not void, with its epoch, however old; zeros
    ///         without one, or without the pass.
    function standingOf(address account, uint8 role) external view returns (uint64 epoch, uint64 score, uint32 rank);

    /// @notice Whether `standing` is in the report of `epoch`, and no more: the report may be pending, superseded or void.
    function verify(uint64 epoch, Standing calldata standing, bytes32[] calldata proof) external view returns (bool);

    /// @notice The active report; zeros if there is none.
    function activeReport() external view returns (PostedReport memory);

    /// @notice The pending report; zeros if there is none.
    function pendingReport() external view returns (PostedReport memory);

    /// @notice A report that is still remembered; the last 64 are.
    function reportOf(uint64 epoch) external view returns (PostedReport memory);

    /// @notice The greatest epoch ever reported, void or not; 0 before the first.
    function lastEpoch() external view returns (uint64);

    /// @notice Whether the report of `epoch` was voided; remembered for ever.
    function isVoid(uint64 epoch) external view returns (bool);

    /// @notice Who signs reports.
    function attestor() external view returns (address);

    /// @notice What the attestor signs: the EIP-712 digest of `Report(uint64 epoch,bytes32 root,bytes32 policyHash,`
    ///         `bytes32 archiveHash,uint32 creators,uint32 workers)`.
    function reportDigest(Report calldata report) external view returns (bytes32);

    /// @notice The passes that are ranked here.
    function PASS() external view returns (IVIPPass);

    /// @notice In seconds.
    function EPOCH_LENGTH() external view returns (uint256);

    /// @notice From submission to activity, in seconds.
    function ACTIVATION_DELAY() external view returns (uint256);

    /// @notice The share of a role's members that is prioritised, in hundredths of a per cent.
    function PRIORITY_SHARE_BPS() external view returns (uint256);
}
