// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

import {IScoreRegistry, PostedReport, Report, Standing} from "./interfaces/IScoreRegistry.sol";
import {IVIPPass} from "./interfaces/IVIPPass.sol";
import {CREATOR, InvalidPass, PassId} from "./types/PassId.sol";
import {State} from "./types/MemberSlot.sol";
import {StandingSlot} from "./types/StandingSlot.sol";

/// @title ScoreRegistry
/// @notice See {IScoreRegistry}.
/// @dev Reports are numbered from 1 in the order of their submission; number `n` stands in the ring at `n % RING`. 0 is none.
contract ScoreRegistry is IScoreRegistry, AccessManaged, Pausable, EIP712 {
    uint32 private constant RING = 64;

    bytes32 private constant REPORT_TYPEHASH =
        keccak256("Report(uint64 epoch,bytes32 root,bytes32 policyHash,bytes32 archiveHash,uint32 creators,uint32 workers)");

    /// @dev Two slots. Epochs fit 32 bits, as they have ended and last a minute or longer; so do the numbers of reports.
    struct Entry {
        bytes32 root;
        uint32 epoch;
        uint40 submittedAt;
        uint32 creators;
        uint32 workers;
        uint32 link; // the newest report before this one that was not void when this one came
    }

    /// @dev One slot: all that a reader needs to find the active report. Neither `newest` nor `before` is ever void.
    struct Head {
        uint32 count; // reports ever submitted
        uint32 lastEpoch; // of the last of them
        uint32 newest; // the newest report that is not void, pending or not
        uint32 before; // the newest before it that is not void: the active one while `newest` is pending
        uint40 newestAt; // when `newest` was submitted
    }

    /// @inheritdoc IScoreRegistry
    IVIPPass public immutable PASS;
    /// @inheritdoc IScoreRegistry
    uint256 public immutable EPOCH_LENGTH;
    /// @inheritdoc IScoreRegistry
    uint256 public immutable ACTIVATION_DELAY;
    /// @inheritdoc IScoreRegistry
    uint256 public immutable PRIORITY_SHARE_BPS;

    /// @inheritdoc IScoreRegistry
    address public attestor;
    Head private _head;
    Entry[RING] private _ring;
    /// @inheritdoc IScoreRegistry
    mapping(uint64 epoch => bool) public isVoid;
    mapping(uint256 passId => StandingSlot) private _standings;

    constructor(
        address authority,
        address attestor_,
        IVIPPass pass,
        uint256 epochLength,
        uint256 activationDelay,
        uint256 priorityShareBps
    ) AccessManaged(authority) EIP712("Pictor Score Registry", "1") {
        require(epochLength != 0 && epochLength % 1 minutes == 0, InvalidEpochLength(epochLength));
        require(activationDelay < epochLength, InvalidActivationDelay(activationDelay));
        require(priorityShareBps != 0 && priorityShareBps <= 10_000, InvalidPriorityShare(priorityShareBps));
        _setAttestor(attestor_);
        PASS = pass;
        EPOCH_LENGTH = epochLength;
        ACTIVATION_DELAY = activationDelay;
        PRIORITY_SHARE_BPS = priorityShareBps;
    }

    // -------------------------------------------------------------------------------------------------------- posts

    /// @inheritdoc IScoreRegistry
    function submit(Report calldata report, bytes calldata signature) external whenNotPaused {
        Head memory head = _head;
        // Nothing is submitted while one is pending, so the pending report is the last one.
        require(!_isPending(head), ReportPending(head.lastEpoch));
        require(report.epoch > head.lastEpoch, EpochNotAfterLast(report.epoch, head.lastEpoch));
        uint256 end = uint256(report.epoch) * EPOCH_LENGTH;
        require(end <= block.timestamp, EpochInFuture(report.epoch, end));
        require(report.root != 0, ZeroRoot());
        require(report.creators | report.workers != 0, NoMembers());
        bytes32 digest = reportDigest(report);
        require(SignatureChecker.isValidSignatureNowCalldata(attestor, digest, signature), InvalidSignature(attestor, digest));

        uint32 number = head.count + 1;
        _ring[number % RING] = Entry({
            root: report.root,
            epoch: uint32(report.epoch),
            submittedAt: uint40(block.timestamp),
            creators: report.creators,
            workers: report.workers,
            link: head.newest
        });
        _head = Head({
            count: number, lastEpoch: uint32(report.epoch), newest: number, before: head.newest, newestAt: uint40(block.timestamp)
        });
        emit Submitted(
            report.epoch,
            report.root,
            report.policyHash,
            report.archiveHash,
            report.creators,
            report.workers,
            uint64(block.timestamp + ACTIVATION_DELAY)
        );
    }

    /// @inheritdoc IScoreRegistry
    function challenge(
        uint64 epoch,
        Standing calldata a,
        bytes32[] calldata proofA,
        Standing calldata b,
        bytes32[] calldata proofB
    ) external {
        uint32 number = _numberOf(epoch);
        Entry memory entry = _entry(number);
        require(_isProven(entry, a, proofA), InvalidProof(epoch, a.passId));
        require(_isProven(entry, b, proofB), InvalidProof(epoch, b.passId));
        string memory reason = _contradiction(entry, a, b);
        require(bytes(reason).length != 0, NoContradiction(epoch));
        _void(number, epoch, reason);
    }

    /// @inheritdoc IScoreRegistry
    function sync(uint64 epoch, Standing[] calldata standings, bytes32[] calldata proof, bool[] calldata flags)
        external
        whenNotPaused
    {
        require(standings.length != 0, NoStandings());
        Head memory head = _head;
        uint32 active = _active(head);
        uint64 activeEpoch = active == 0 ? 0 : _entry(active).epoch;
        uint64 pendingEpoch = _isPending(head) ? head.lastEpoch : 0;
        require(epoch != 0 && (epoch == activeEpoch || epoch == pendingEpoch), NotCurrent(epoch));
        Entry storage entry = _entry(epoch == activeEpoch ? active : head.newest);
        uint256 members = uint256(entry.creators) + entry.workers;
        require(proof.length != 0 || standings.length == members, EmptyProof(epoch, members));

        uint64 kept = epoch == activeEpoch ? pendingEpoch : activeEpoch;
        bytes32[] memory leaves = new bytes32[](standings.length);
        for (uint256 i; i < standings.length; ++i) {
            Standing calldata standing = standings[i];
            require(PassId.isValid(standing.passId), InvalidPass(standing.passId));
            leaves[i] = _leaf(standing);
            StandingSlot slot = _standings[standing.passId];
            _standings[standing.passId] = slot.put(epoch, standing.score, standing.rank, kept);
        }
        require(MerkleProof.multiProofVerifyCalldata(proof, flags, entry.root, leaves), InvalidProof(epoch, 0));
        emit Synced(epoch, standings.length);
    }

    // ----------------------------------------------------------------------------------------------------- guardian

    /// @inheritdoc IScoreRegistry
    function veto(uint64 epoch, string calldata reason) external restricted {
        require(bytes(reason).length != 0, NoReason());
        _void(_numberOf(epoch), epoch, reason);
    }

    /// @inheritdoc IScoreRegistry
    function pause() external restricted {
        _pause();
    }

    // ----------------------------------------------------------------------------------------------------- governor

    /// @inheritdoc IScoreRegistry
    function unpause() external restricted {
        _unpause();
    }

    /// @inheritdoc IScoreRegistry
    function setAttestor(address attestor_) external restricted {
        _setAttestor(attestor_);
    }

    // ------------------------------------------------------------------------------------------------------ readers

    /// @inheritdoc IScoreRegistry
    function isPrioritized(address account, uint8 role) external view returns (bool) {
        if (!PASS.isVip(account, role)) return false;
        uint32 active = _active(_head);
        if (active == 0) return false;
        Entry storage entry = _entry(active);
        (, uint32 rank) = _standings[PassId.pack(account, role)].find(entry.epoch);
        return _isBest(rank, role == CREATOR ? entry.creators : entry.workers);
    }

    /// @inheritdoc IScoreRegistry
    function isPrioritized(Standing calldata standing, bytes32[] calldata proof) external view returns (bool) {
        (address account, uint8 role) = PassId.split(standing.passId);
        uint32 active = _active(_head);
        if (active == 0) return false;
        Entry memory entry = _entry(active);
        return _isProven(entry, standing, proof) && _isBest(standing.rank, role == CREATOR ? entry.creators : entry.workers)
            && PASS.isVip(account, role);
    }

    /// @inheritdoc IScoreRegistry
    function scoreOf(address account, uint8 role) external view returns (uint64 score) {
        if (!PASS.isVip(account, role)) return 0;
        uint32 active = _active(_head);
        if (active != 0) (score,) = _standings[PassId.pack(account, role)].find(_entry(active).epoch);
    }

    /// @inheritdoc IScoreRegistry
    function standingOf(address account, uint8 role) external view returns (uint64 epoch, uint64 score, uint32 rank) {
        if (!PASS.isVip(account, role)) return (0, 0, 0);
        StandingSlot slot = _standings[PassId.pack(account, role)];
        Head memory head = _head;
        uint64 pendingEpoch = _isPending(head) ? head.lastEpoch : 0;
        for (uint256 i; i < 2; ++i) {
            (uint64 stored, uint64 score_, uint32 rank_) = slot.half(i);
            if (stored > epoch && stored != pendingEpoch && !isVoid[stored]) (epoch, score, rank) = (stored, score_, rank_);
        }
    }

    /// @inheritdoc IScoreRegistry
    function verify(uint64 epoch, Standing calldata standing, bytes32[] calldata proof) external view returns (bool) {
        return _isProven(_entry(_numberOf(epoch)), standing, proof);
    }

    /// @inheritdoc IScoreRegistry
    function activeReport() external view returns (PostedReport memory) {
        return _posted(_active(_head));
    }

    /// @inheritdoc IScoreRegistry
    function pendingReport() external view returns (PostedReport memory) {
        Head memory head = _head;
        return _posted(_isPending(head) ? head.newest : 0);
    }

    /// @inheritdoc IScoreRegistry
    function reportOf(uint64 epoch) external view returns (PostedReport memory) {
        return _posted(_numberOf(epoch));
    }

    /// @inheritdoc IScoreRegistry
    function lastEpoch() external view returns (uint64) {
        return _head.lastEpoch;
    }

    /// @inheritdoc IScoreRegistry
    function reportDigest(Report calldata report) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(REPORT_TYPEHASH, report)));
    }

    // ------------------------------------------------------------------------------------------------- the ring

    function _entry(uint32 number) private view returns (Entry storage) {
        return _ring[number % RING];
    }

    /// @dev Whether report `number` was submitted and not yet overwritten.
    function _isRemembered(Head memory head, uint32 number) private pure returns (bool) {
        return number != 0 && head.count - number < RING;
    }

    function _isPending(Head memory head) private view returns (bool) {
        return head.newest != 0 && block.timestamp < head.newestAt + ACTIVATION_DELAY;
    }

    /// @dev The number of the active report, 0 if there is none. One that 64 void ones have overwritten is no more.
    function _active(Head memory head) private view returns (uint32 number) {
        number = _isPending(head) ? head.before : head.newest;
        if (!_isRemembered(head, number)) number = 0;
    }

    /// @dev The number of the report of `epoch`, by bisection: epochs rise with the numbers.
    function _numberOf(uint64 epoch) private view returns (uint32 number) {
        uint32 high = _head.count;
        uint32 low = high < RING ? 1 : high - RING + 1;
        while (low < high) {
            uint32 middle = low + (high - low) / 2;
            if (_entry(middle).epoch < epoch) low = middle + 1;
            else high = middle;
        }
        require(high != 0 && _entry(low).epoch == epoch, UnknownEpoch(epoch));
        return low;
    }

    /// @dev Marks a report void, and keeps {Head} to reports that are not.
    function _void(uint32 number, uint64 epoch, string memory reason) private {
        require(!isVoid[epoch], AlreadyVoid(epoch));
        isVoid[epoch] = true;
        Head memory head = _head;
        if (number == head.newest) {
            head.newest = _isRemembered(head, head.before) ? head.before : 0;
            head.newestAt = head.newest == 0 ? 0 : _entry(head.newest).submittedAt;
            head.before = _before(head, head.newest);
            _head = head;
        } else if (number == head.before) {
            head.before = _before(head, number);
            _head = head;
        }
        emit Voided(epoch, msg.sender, reason);
    }

    /// @dev The newest remembered report before `number` that is not void, 0 if there is none.
    function _before(Head memory head, uint32 number) private view returns (uint32) {
        while (_isRemembered(head, number)) {
            number = _entry(number).link;
            if (_isRemembered(head, number) && !isVoid[_entry(number).epoch]) return number;
        }
        return 0;
    }

    function _posted(uint32 number) private view returns (PostedReport memory posted) {
        if (number == 0) return posted;
        Entry memory entry = _entry(number);
        return PostedReport({
            epoch: entry.epoch,
            root: entry.root,
            creators: entry.creators,
            workers: entry.workers,
            submittedAt: entry.submittedAt,
            activatesAt: uint64(entry.submittedAt + ACTIVATION_DELAY),
            isVoid: isVoid[entry.epoch]
        });
    }

    // ------------------------------------------------------------------------------------------------- standings

    function _leaf(Standing calldata standing) private pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(standing.passId, standing.score, standing.rank))));
    }

    function _isProven(Entry memory entry, Standing calldata standing, bytes32[] calldata proof) private pure returns (bool) {
        uint256 members = uint256(entry.creators) + entry.workers;
        require(proof.length != 0 || members == 1, EmptyProof(entry.epoch, members));
        return MerkleProof.verifyCalldata(proof, entry.root, _leaf(standing));
    }

    /// @dev Whether `rank` is among the prioritised of `members`. Rank 0 is no rank.
    function _isBest(uint32 rank, uint32 members) private view returns (bool) {
        return rank != 0 && rank <= (members * PRIORITY_SHARE_BPS + 9_999) / 10_000;
    }

    /// @dev Why `a` and `b` cannot both be in an honest report; empty if they can.
    function _contradiction(Entry memory entry, Standing calldata a, Standing calldata b) private view returns (string memory) {
        if (a.passId == b.passId && a.score == b.score && a.rank == b.rank) return _falsehood(entry, a);
        if (a.passId >> 160 != b.passId >> 160) return "";
        if (a.passId == b.passId) return "one pass, two standings";
        if (a.rank == b.rank) return "one rank, two passes";
        bool aIsBetter = a.rank < b.rank;
        if (aIsBetter ? a.score < b.score : b.score < a.score) return "better rank, lower score";
        return "";
    }

    /// @dev Why `standing` cannot be in an honest report; empty if it can.
    function _falsehood(Entry memory entry, Standing calldata standing) private view returns (string memory) {
        if (!PassId.isValid(standing.passId)) return "no such pass";
        (, uint8 role) = PassId.split(standing.passId);
        uint32 members = role == CREATOR ? entry.creators : entry.workers;
        if (standing.rank == 0) return "rank 0";
        if (standing.rank > members) return "rank above the number of members";
        if (members > PASS.everIssued(role)) return "more members than passes ever issued";
        (State state,,) = PASS.statusOf(standing.passId);
        if (state == State.None) return "pass never issued";
        return "";
    }

    function _setAttestor(address attestor_) private {
        require(attestor_ != address(0), InvalidAttestor(attestor_));
        attestor = attestor_;
        emit AttestorSet(attestor_);
    }
}
