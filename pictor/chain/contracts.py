"""The contracts as typed gateways: every read of one goes to the block that it is pinned to, every write is data for somebody to send."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, ClassVar, Self

from eth_abi.exceptions import DecodingError
from hexbytes import HexBytes
from web3.exceptions import ContractLogicError

from pictor.chain.errors import NoCodeError
from pictor.chain.interfaces import Event, Interface, Struct, interface, revert
from pictor.chain.node import Block, Chain
from pictor.units import Address, Epoch, MicroPoints, PassId, Role, Timestamp, to_checksum


class Power(IntEnum):
    """The roles of Powers. See docs/threat-model.md for who should hold them."""

    ADMIN = 0  # may change all that Powers knows; OpenZeppelin fixes the number
    GOVERNOR = 1  # attestor, committee, art, issue limit, unpause; after a delay that a guardian can use to cancel
    GUARDIAN = 2  # veto, pause, revoke, reinstate; at once


FUNCTION_POWERS: dict[str, dict[Power, tuple[str, ...]]] = {
    # Whose each restricted function is, by contract; Powers keeps those that are not named for ADMIN.
    "VIPPass": {
        Power.GOVERNOR: ("setAttestor", "setArt", "setIssueLimit", "unpause"),
        Power.GUARDIAN: ("revoke", "reinstate", "pause"),
    },
    "ScoreRegistry": {Power.GOVERNOR: ("setAttestor", "unpause"), Power.GUARDIAN: ("veto", "pause")},
    "AttestorCommittee": {Power.GOVERNOR: ("rotate",)},
}


class State(IntEnum):
    """What an issuance, or a burn, made of a pass. A revocation is a flag beside it."""

    NONE = 0
    HELD = 1
    BURNED = 2


@dataclass(frozen=True)
class PassStatus:
    """All that the chain knows of one pass. `issued_at` is of the last issue, 0 if it was never issued."""

    state: State
    revoked: bool
    issued_at: Timestamp

    @property
    def held(self) -> bool:
        """Whether the pass counts now."""
        return self.state is State.HELD and not self.revoked


@dataclass(frozen=True)
class PostedReport:
    """What the registry knows of a report; see IScoreRegistry. `creators`, `workers`: its standings of each role."""

    epoch: Epoch
    root: bytes
    creators: int
    workers: int
    submitted_at: Timestamp
    activates_at: Timestamp
    is_void: bool

    def members(self, role: Role) -> int:
        """The number of standings of `role`."""
        return self.creators if role is Role.CREATOR else self.workers


@dataclass(frozen=True)
class StoredStanding:
    """A standing that was copied into storage. The score is in micro-points, the rank counts from 1."""

    epoch: Epoch
    score: MicroPoints
    rank: int


@dataclass(frozen=True)
class Access:
    """A membership of a role of Powers; `since` 0: none. Delays in seconds.

    `effect`: when `pending_delay` comes in force; 0 if none is pending.
    """

    since: Timestamp
    delay: int
    pending_delay: int
    effect: Timestamp


@dataclass(frozen=True)
class Domain:
    """A contract's EIP-712 domain, by ERC-5267."""

    name: str
    version: str
    chain_id: int
    contract: Address


@dataclass(frozen=True)
class Call:
    """A call to be sent by somebody. `to` None: `data` creates a contract. `what` says it in words."""

    to: Address | None
    data: bytes
    what: str


@dataclass(frozen=True)
class Gateway:
    """One contract. Reads raise RevertedError, NoCodeError, or what the node's failure raises (NODE_FAILURES)."""

    chain: Chain
    address: Address
    block: Block
    NAME: ClassVar[str]

    @classmethod
    def interface(cls) -> Interface:
        """The contract's ABI."""
        return interface(cls.NAME)

    def at(self, block: Block) -> Self:
        """The same contract, read at another block."""
        return replace(self, block=block)

    def read(self, function: str, *arguments: Any) -> Any:
        """What a view returns at the pinned block; `function` by name or signature."""
        return self.result(function, self._call(function, self.interface().encode(function, *arguments)))

    def result(self, function: str, data: bytes) -> Any:
        """Decodes what `function` returned. Raises NoCodeError where nothing came back, as happens where there is no contract."""
        try:
            return self.interface().decode(function, data)
        except DecodingError as error:
            if data:
                raise
            raise NoCodeError(self.NAME, to_checksum(self.address), self.block.number) from error

    def call(self, function: str, *arguments: Any) -> Call:
        """A call of `function`, to be sent."""
        return Call(self.address, self.interface().encode(function, *arguments), f"{self.NAME}.{function.split('(')[0]}")

    def events(self, first: int, *names: str) -> list[Event]:
        """What the contract has logged from block `first` up to the pinned one, in order; all events, or those of `names`."""
        topics = [[HexBytes(self.interface().topic(name)) for name in names]] if names else []
        return [self.interface().event(log) for log in self.chain.logs(self.address, first, self.block.number, topics)]

    def _call(self, function: str, data: bytes) -> bytes:
        try:
            return bytes(self.chain.web3.eth.call({"to": to_checksum(self.address), "data": HexBytes(data)}, HexBytes(self.block.hash)))
        except ContractLogicError as error:
            raise revert(f"{self.NAME}.{function.split('(')[0]}", error) from error

    def _domain(self) -> Domain:
        _, name, version, chain_id, contract, _, _ = self.read("eip712Domain")
        return Domain(name, version, chain_id, Address(contract))


class Powers(Gateway):
    """Who may do what, and after which delay: OpenZeppelin's AccessManager."""

    NAME = "Powers"

    def access(self, power: Power, account: Address) -> Access:
        """The membership of `account`."""
        since, delay, pending, effect = self.read("getAccess", power, account)
        return Access(Timestamp(since), delay, pending, Timestamp(effect))

    def function_role(self, target: Address, selector: bytes) -> int:
        """The number of the role that a function of `target` needs."""
        return int(self.read("getTargetFunctionRole", target, selector))

    def role_guardian(self, power: Power) -> int:
        """The number of the role that can cancel what members of `power` schedule."""
        return int(self.read("getRoleGuardian", power))

    def role_admin(self, power: Power) -> int:
        """The number of the role that can grant and revoke `power`."""
        return int(self.read("getRoleAdmin", power))

    def operation_id(self, caller: Address, target: Address, data: bytes) -> bytes:
        """The id under which a call is scheduled."""
        return bytes(self.read("hashOperation", caller, target, data))

    def ready_at(self, operation: bytes) -> Timestamp:
        """From when on a scheduled call can be executed; 0 if it is not scheduled, or has expired."""
        return Timestamp(self.read("getSchedule", operation))


class AttestorCommittee(Gateway):
    """m of n signers as one ERC-1271 signer."""

    NAME = "AttestorCommittee"

    def authority(self) -> Address:
        """The contract that says who may rotate."""
        return Address(self.read("authority"))

    def signers(self) -> frozenset[bytes]:
        """The signers, each 20 bytes, or an ERC-7913 verifier and the key behind it."""
        return frozenset(bytes(signer) for signer in self.read("getSigners", 0, self.read("getSignerCount")))

    def threshold(self) -> int:
        """How many of them must sign."""
        return int(self.read("threshold"))


class VIPPass(Gateway):
    """The soulbound passes."""

    NAME = "VIPPass"

    def authority(self) -> Address:
        """The contract that says who may do what."""
        return Address(self.read("authority"))

    def attestor(self) -> Address:
        """Who signs issuances."""
        return Address(self.read("attestor"))

    def art(self) -> Address:
        """The contract that draws the passes; zero if none is set."""
        return Address(self.read("art"))

    def domain(self) -> Domain:
        """Of the messages that let passes be issued."""
        return self._domain()

    def paused(self) -> bool:
        """Whether no passes can be issued."""
        return bool(self.read("paused"))

    def issue_limit(self) -> int:
        """Passes per UTC day."""
        return int(self.read("issueLimit"))

    def issues_left(self) -> int:
        """Passes that can still be issued this UTC day."""
        return int(self.read("issuesLeft"))

    def members(self, role: Role) -> int:
        """Passes of `role` that are held now."""
        return int(self.read("members", role))

    def ever_issued(self, role: Role) -> int:
        """Wallets that were ever issued a pass of `role`."""
        return int(self.read("everIssued", role))

    def is_vip(self, account: Address, role: Role) -> bool:
        """Whether `account` holds a pass of `role`."""
        return bool(self.read("isVip", account, role))

    def status_of(self, pass_id: PassId) -> PassStatus:
        """All there is to know of a pass."""
        state, revoked, issued_at = self.read("statusOf", pass_id)
        return PassStatus(State(state), revoked, Timestamp(issued_at))

    def token_uri(self, pass_id: PassId) -> str:
        """The metadata of a pass that is held, as a data URI."""
        return str(self.read("tokenURI", pass_id))

    def contract_uri(self) -> str:
        """The metadata of the collection, as a data URI."""
        return str(self.read("contractURI"))

    def issuance_digest(self, issuance: Struct) -> bytes:
        """What the attestor signs, in the contract's own words."""
        return bytes(self.read("issuanceDigest", issuance))

    def issue(self, issuance: Struct, signature: bytes) -> Call:
        """Issues passes."""
        return self.call("issue", issuance, signature)


class ScoreRegistry(Gateway):
    """The scores, epoch by epoch."""

    NAME = "ScoreRegistry"

    def authority(self) -> Address:
        """The contract that says who may do what."""
        return Address(self.read("authority"))

    def attestor(self) -> Address:
        """Who signs reports."""
        return Address(self.read("attestor"))

    def domain(self) -> Domain:
        """Of the reports."""
        return self._domain()

    def paused(self) -> bool:
        """Whether no reports are taken."""
        return bool(self.read("paused"))

    def vip_pass(self) -> Address:
        """The passes that are ranked."""
        return Address(self.read("PASS"))

    def epoch_length(self) -> int:
        """In seconds."""
        return int(self.read("EPOCH_LENGTH"))

    def activation_delay(self) -> int:
        """From a report's submission to its activity, in seconds."""
        return int(self.read("ACTIVATION_DELAY"))

    def priority_share(self) -> int:
        """The share of a role's members that is prioritised, in basis points."""
        return int(self.read("PRIORITY_SHARE_BPS"))

    def last_epoch(self) -> Epoch:
        """The greatest epoch ever reported, void or not; 0 before the first."""
        return Epoch(self.read("lastEpoch"))

    def active_report(self) -> PostedReport | None:
        """The report that counts, if there is one."""
        return _posted(self.read("activeReport"))

    def pending_report(self) -> PostedReport | None:
        """The report that waits for its activation, if there is one."""
        return _posted(self.read("pendingReport"))

    def report_of(self, epoch: int) -> PostedReport | None:
        """A report that is still remembered. Raises RevertedError (UnknownEpoch) for any other."""
        return _posted(self.read("reportOf", epoch))

    def is_void(self, epoch: int) -> bool:
        """Whether the report of `epoch` was voided."""
        return bool(self.read("isVoid", epoch))

    def score_of(self, account: Address, role: Role) -> MicroPoints:
        """The stored score of the active report; 0 without one, or without the pass."""
        return MicroPoints(self.read("scoreOf", account, role))

    def standing_of(self, account: Address, role: Role) -> StoredStanding | None:
        """The newest stored standing of an activated report that is not void, however old; none without the pass."""
        epoch, score, rank = self.read("standingOf", account, role)
        return StoredStanding(Epoch(epoch), MicroPoints(score), rank) if epoch else None

    def is_prioritized(self, account: Address, role: Role) -> bool:
        """By the stored standing of the active report, while the pass is held."""
        return bool(self.read("isPrioritized(address,uint8)", account, role))

    def is_prioritized_by_proof(self, standing: Struct, proof: Sequence[bytes]) -> bool:
        """By a standing that need not be stored. Raises RevertedError for one that is malformed."""
        return bool(self.read("isPrioritized((uint256,uint64,uint32),bytes32[])", standing, proof))

    def verify(self, epoch: int, standing: Struct, proof: Sequence[bytes]) -> bool:
        """Whether `standing` is in the report of `epoch`, and no more."""
        return bool(self.read("verify", epoch, standing, proof))

    def report_digest(self, report: Struct) -> bytes:
        """What the attestor signs, in the contract's own words."""
        return bytes(self.read("reportDigest", report))

    def submit(self, report: Struct, signature: bytes) -> Call:
        """Posts a report."""
        return self.call("submit", report, signature)

    def sync(self, epoch: int, standings: Sequence[Struct], proof: Sequence[bytes], flags: Sequence[bool]) -> Call:
        """Copies proven standings into storage."""
        return self.call("sync", epoch, standings, proof, flags)

    def challenge(self, epoch: int, a: Struct, proof_a: Sequence[bytes], b: Struct, proof_b: Sequence[bytes]) -> Call:
        """Voids a report by two of its standings that cannot both be true."""
        return self.call("challenge", epoch, a, proof_a, b, proof_b)


class PassArt(Gateway):
    """How the passes look."""

    NAME = "PassArt"

    def revision(self) -> int:
        """Changes whenever all pictures may have changed."""
        return int(self.read("revision"))


GATEWAYS: dict[str, type[Gateway]] = {gateway.NAME: gateway for gateway in (Powers, AttestorCommittee, VIPPass, ScoreRegistry, PassArt)}


@dataclass(frozen=True)
class Contracts:
    """The contracts of one deployment, all read at one block. No committee: somebody else's contract, or a key, attests."""

    powers: Powers
    committee: AttestorCommittee | None
    vip_pass: VIPPass
    registry: ScoreRegistry
    art: PassArt

    @property
    def block(self) -> Block:
        """The block that all reads are pinned to."""
        return self.powers.block

    def at(self, block: Block) -> "Contracts":
        """The same contracts, read at another block."""
        return Contracts(
            self.powers.at(block),
            self.committee and self.committee.at(block),
            self.vip_pass.at(block),
            self.registry.at(block),
            self.art.at(block),
        )

    def by_name(self) -> dict[str, Gateway]:
        """The gateways by their contracts' names."""
        found = (self.powers, self.committee, self.vip_pass, self.registry, self.art)
        return {gateway.NAME: gateway for gateway in found if gateway is not None}


def _posted(values: tuple[int, bytes, int, int, int, int, bool]) -> PostedReport | None:
    epoch, root, creators, workers, submitted_at, activates_at, is_void = values
    if epoch == 0:
        return None
    return PostedReport(Epoch(epoch), root, creators, workers, Timestamp(submitted_at), Timestamp(activates_at), is_void)
