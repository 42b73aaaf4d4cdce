// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {MerkleProofLib} from "solady/utils/MerkleProofLib.sol";

import {IScoreRegistry, PostedReport, Report, Standing} from "./interfaces/IScoreRegistry.sol";
import {IVIPPass} from "./interfaces/IVIPPass.sol";
import {CREATOR, InvalidPass, PassId} from "./types/PassId.sol";
import {State} from "./types/MemberSlot.sol";
import {StandingSlot} from "./types/StandingSlot.sol";

/// @title ScoreRegistry
/// @notice See {IScoreRegistry}.
/// @dev Reports are numbered from 1 in the order of their submission; number `n` stands in the ring at `n % RING`. 0 is none.
contract ScoreRegistry is IScoreRegistry, AccessManaged, Pausable, EIP712 {
    uint24 private constant RING = 64;

    bytes32 private constant REPORT_TYPEHASH =
        keccak256("Report(uint64 epoch,bytes32 root,bytes32 policyHash,bytes32 archiveHash,uint32 creators,uint32 workers)");

    /// @dev Two slots. Epochs fit 32 bits: they have ended, and last a minute or longer.
    struct Entry {
        bytes32 root;
        uint32 epoch;
        uint40 submittedAt;
        uint32 creators;
        uint32 workers;
        uint24 link; // the newest report before this one that was not void when this one came
    }

    /// @dev One slot: all that a reader needs to find the active report and its sizes. Neither `newest` nor `before` is ever
    ///      void. 2^24 reports last 31 years even at an epoch a minute.
    struct Head {
        uint24 count; // reports ever submitted
        uint24 newest; // the newest report that is not void, pending or not
        uint24 before; // the newest before it that is not void: the active one while `newest` is pending
        uint40 newestAt; // when `newest` was submitted
        uint32 newestCreators; // the sizes of both, as in their entries
        uint32 newestWorkers;
        uint32 beforeCreators;
        uint32 beforeWorkers;
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
        uint32 last = _entry(head.count).epoch;
        // Nothing is submitted while one is pending, so the pending report is the last one.
        require(!_isPending(head), ReportPending(last));
        require(report.epoch > last, EpochNotAfterLast(report.epoch, last));
        uint256 end = uint256(report.epoch) * EPOCH_LENGTH;
        require(end <= block.timestamp, EpochInFuture(report.epoch, end));
        require(report.root != 0, ZeroRoot());
        require(report.creators | report.workers != 0, NoMembers());
        bytes32 digest = reportDigest(report);
        address attestor_ = attestor;
        require(SignatureChecker.isValidSignatureNowCalldata(attestor_, digest, signature), InvalidSignature(attestor_, digest));

        uint24 number = head.count + 1;
        _ring[number % RING] = Entry({
            root: report.root,
            epoch: uint32(report.epoch),
            submittedAt: uint40(block.timestamp),
            creators: report.creators,
            workers: report.workers,
            link: head.newest
        });
        _head = Head({
            count: number,
            newest: number,
            before: head.newest,
            newestAt: uint40(block.timestamp),
            newestCreators: report.creators,
            newestWorkers: report.workers,
            beforeCreators: head.newestCreators,
            beforeWorkers: head.newestWorkers
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
        uint24 number = _numberOf(epoch);
        Entry storage entry = _entry(number);
        require(_isProven(entry, _members(entry), a, proofA), InvalidProof(epoch, a.passId));
        require(_isProven(entry, _members(entry), b, proofB), InvalidProof(epoch, b.passId));
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
        (uint24 active,,) = _active(head);
        uint64 activeEpoch = active == 0 ? 0 : _entry(active).epoch;
        uint64 pendingEpoch = _pendingEpoch(head);
        require(epoch != 0 && (epoch == activeEpoch || epoch == pendingEpoch), NotCurrent(epoch));
        Entry storage entry = _entry(epoch == activeEpoch ? active : head.newest);
        uint256 members = _members(entry);
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
        (uint24 active, uint32 creators, uint32 workers) = _active(_head);
        if (active == 0) return false;
        (, uint32 rank) = _standings[PassId.pack(account, role)].find(_entry(active).epoch);
        return _isBest(rank, role == CREATOR ? creators : workers);
    }

    /// @inheritdoc IScoreRegistry
    function isPrioritized(Standing calldata standing, bytes32[] calldata proof) external view returns (bool) {
        (address account, uint8 role) = PassId.split(standing.passId);
        (uint24 active, uint32 creators, uint32 workers) = _active(_head);
        if (active == 0) return false;
        return _isProven(_entry(active), uint256(creators) + workers, standing, proof)
            && _isBest(standing.rank, role == CREATOR ? creators : workers) && PASS.isVip(account, role);
    }

    /// @inheritdoc IScoreRegistry
    function scoreOf(address account, uint8 role) external view returns (uint64 score) {
        if (!PASS.isVip(account, role)) return 0;
        (uint24 active,,) = _active(_head);
        if (active != 0) (score,) = _standings[PassId.pack(account, role)].find(_entry(active).epoch);
    }

    /// @inheritdoc IScoreRegistry
    function standingOf(address account, uint8 role) external view returns (uint64 epoch, uint64 score, uint32 rank) {
        if (!PASS.isVip(account, role)) return (0, 0, 0);
        StandingSlot slot = _standings[PassId.pack(account, role)];
        uint64 pendingEpoch = _pendingEpoch(_head);
        for (uint256 i; i < 2; ++i) {
            (uint64 stored, uint64 score_, uint32 rank_) = slot.half(i);
            if (stored > epoch && stored != pendingEpoch && !isVoid[stored]) (epoch, score, rank) = (stored, score_, rank_);
        }
    }

    /// @inheritdoc IScoreRegistry
    function verify(uint64 epoch, Standing calldata standing, bytes32[] calldata proof) external view returns (bool) {
        Entry storage entry = _entry(_numberOf(epoch));
        return _isProven(entry, _members(entry), standing, proof);
    }

    /// @inheritdoc IScoreRegistry
    function activeReport() external view returns (PostedReport memory) {
        (uint24 active,,) = _active(_head);
        return _posted(active);
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
        return _entry(_head.count).epoch;
    }

    /// @inheritdoc IScoreRegistry
    function reportDigest(Report calldata report) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(REPORT_TYPEHASH, report)));
    }

    // ------------------------------------------------------------------------------------------------- the ring

    function _entry(uint24 number) private view returns (Entry storage) {
        return _ring[number % RING];
    }

    /// @dev Whether report `number` was submitted and not yet overwritten.
    function _isRemembered(Head memory head, uint24 number) private pure returns (bool) {
        return number != 0 && head.count - number < RING;
    }

    function _isPending(Head memory head) private view returns (bool) {
        return head.newest != 0 && block.timestamp < head.newestAt + ACTIVATION_DELAY;
    }

    function _pendingEpoch(Head memory head) private view returns (uint64) {
        return _isPending(head) ? _entry(head.newest).epoch : 0;
    }

    /// @dev The active report and its sizes, 0 if there is none. One that 64 void ones have overwritten is no more.
    function _active(Head memory head) private view returns (uint24 number, uint32 creators, uint32 workers) {
        (number, creators, workers) = _isPending(head)
            ? (head.before, head.beforeCreators, head.beforeWorkers)
            : (head.newest, head.newestCreators, head.newestWorkers);
        if (!_isRemembered(head, number)) number = 0;
    }

    /// @dev The number of the report of `epoch`, by bisection: epochs rise with the numbers.
    function _numberOf(uint64 epoch) private view returns (uint24) {
        uint24 high = _head.count;
        uint24 low = high < RING ? 1 : high - RING + 1;
        while (low < high) {
            uint24 middle = low + (high - low) / 2;
            if (_entry(middle).epoch < epoch) low = middle + 1;
            else high = middle;
        }
        require(high != 0 && _entry(low).epoch == epoch, UnknownEpoch(epoch));
        return low;
    }

    /// @dev Marks a report void, and keeps {Head} to reports that are not.
    function _void(uint24 number, uint64 epoch, string memory reason) private {
        require(!isVoid[epoch], AlreadyVoid(epoch));
        isVoid[epoch] = true;
        Head memory head = _head;
        if (number == head.newest) {
            head.newest = _isRemembered(head, head.before) ? head.before : 0;
            head.newestAt = head.newest == 0 ? 0 : _entry(head.newest).submittedAt;
            (head.newestCreators, head.newestWorkers) = (head.beforeCreators, head.beforeWorkers);
            _setBefore(head, head.newest);
        } else if (number == head.before) {
            _setBefore(head, number);
        }
        emit Voided(epoch, msg.sender, reason);
    }

    /// @dev Stores `head` with the newest remembered report before `number` that is not void, 0 if there is none.
    function _setBefore(Head memory head, uint24 number) private {
        do {
            number = _link(head, number);
        } while (number != 0 && isVoid[_entry(number).epoch]);
        Entry storage entry = _entry(number);
        (head.before, head.beforeCreators, head.beforeWorkers) = (number, entry.creators, entry.workers);
        _head = head;
    }

    /// @dev What a remembered report links to, 0 unless that is remembered too.
    function _link(Head memory head, uint24 number) private view returns (uint24 link) {
        if (_isRemembered(head, number)) link = _entry(number).link;
        if (!_isRemembered(head, link)) link = 0;
    }

    function _posted(uint24 number) private view returns (PostedReport memory posted) {
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

    function _members(Entry storage entry) private view returns (uint256) {
        return uint256(entry.creators) + entry.workers;
    }

    /// @dev One proof by Solady, which takes 3 000 gas less than OpenZeppelin at a million members; multiproofs by OpenZeppelin.
    function _isProven(Entry storage entry, uint256 members, Standing calldata standing, bytes32[] calldata proof)
        private
        view
        returns (bool)
    {
        // Not `require`, which would read the epoch for an error that is not raised.
        if (proof.length == 0 && members != 1) revert EmptyProof(entry.epoch, members);
        return MerkleProofLib.verifyCalldata(proof, entry.root, _leaf(standing));
    }

    /// @dev Whether `rank` is among the prioritised of `members`. Rank 0 is no rank.
    function _isBest(uint32 rank, uint32 members) private view returns (bool) {
        return rank != 0 && rank <= (members * PRIORITY_SHARE_BPS + 9_999) / 10_000;
    }

    /// @dev Why `a` and `b` cannot both be in an honest report; empty if they can.
    function _contradiction(Entry storage entry, Standing calldata a, Standing calldata b) private view returns (string memory) {
        if (a.passId == b.passId && a.score == b.score && a.rank == b.rank) return _falsehood(entry, a);
        if (a.passId >> 160 != b.passId >> 160) return "";
        if (a.passId == b.passId) return "one pass, two standings";
        if (a.rank == b.rank) return "one rank, two passes";
        bool aIsBetter = a.rank < b.rank;
        if (aIsBetter ? a.score < b.score : b.score < a.score) return "better rank, lower score";
        return "";
    }

    /// @dev Why `standing` cannot be in an honest report; empty if it can.
    function _falsehood(Entry storage entry, Standing calldata standing) private view returns (string memory) {
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
