"""What the contract tests share: deployed contracts with actors and a clock, signatures, trees, exact reverts and events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, Protocol

from ape import chain, project
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from eth_abi.abi import decode, encode
from eth_account import Account
from eth_account.messages import _hash_eip191_message, encode_typed_data
from eth_utils.address import to_canonical_address, to_checksum_address
from eth_utils.crypto import keccak

CREATOR, WORKER = 1, 2
NONE, HELD, BURNED = 0, 1, 2  # the states of a pass
ZERO = "0x" + 40 * "0"
DAY = 86_400

# Roles of the AccessManager. ADMIN is OpenZeppelin's own.
ADMIN, GOVERNOR, GUARDIAN = 0, 1, 2
ADMIN_DELAY, GOVERNOR_DELAY = 3 * DAY, 2 * DAY

# The functions of each role, per contract; what is not named here is free for all.
RESTRICTED: Mapping[str, Mapping[int, Sequence[str]]] = {
    "VIPPass": {GOVERNOR: ("unpause", "setAttestor", "setArt", "setIssueLimit"), GUARDIAN: ("revoke", "reinstate", "pause")},
    "ScoreRegistry": {GOVERNOR: ("unpause", "setAttestor"), GUARDIAN: ("veto", "pause")},
    "AttestorCommittee": {GOVERNOR: ("rotate",)},
}

EPOCH_LENGTH = DAY
ACTIVATION_DELAY = 3_600
PRIORITY_SHARE_BPS = 1_000
ISSUE_LIMIT = 1_000
FIRST_EPOCH = 21_915  # ends with the year 2029
START = FIRST_EPOCH * EPOCH_LENGTH + DAY // 2  # noon, UTC


def account_of(actor: Any) -> str:
    """The address of an Ape account or contract, or of one given as text: checksummed."""
    return to_checksum_address(getattr(actor, "address", actor))


def pass_id(account: Any, role: int) -> int:
    return role << 160 | int(account_of(account), 16)


def stranger(number: int) -> str:
    """An address that nobody has the key of; they ascend with `number`."""
    return to_checksum_address(f"0x{0xA0 << 152 | number:040x}")


# ------------------------------------------------------------------------------------------------------------ messages


class Issuance(NamedTuple):
    role: int
    accounts: Sequence[str]
    deadline: int


class Report(NamedTuple):
    epoch: int
    root: bytes
    policyHash: bytes
    archiveHash: bytes
    creators: int
    workers: int


class Standing(NamedTuple):
    passId: int
    score: int
    rank: int


TYPES = {
    "Issuance": [("role", "uint8"), ("accounts", "address[]"), ("deadline", "uint64")],
    "Report": [
        ("epoch", "uint64"),
        ("root", "bytes32"),
        ("policyHash", "bytes32"),
        ("archiveHash", "bytes32"),
        ("creators", "uint32"),
        ("workers", "uint32"),
    ],
}
DOMAINS = {"Issuance": "Pictor VIP Pass", "Report": "Pictor Score Registry"}


def digest_of(message: Issuance | Report, contract: Any, chain_id: int, struct: str | None = None) -> bytes:
    """The EIP-712 digest of `message`, by eth_account, not by the contracts. `struct` renames its type, as a forger might."""
    name = type(message).__name__
    typed = encode_typed_data(
        domain_data={"name": DOMAINS[name], "version": "1", "chainId": chain_id, "verifyingContract": account_of(contract)},
        message_types={struct or name: [{"name": part, "type": kind} for part, kind in TYPES[name]]},
        message_data=message._asdict(),
    )
    return bytes(_hash_eip191_message(typed))


# ------------------------------------------------------------------------------------------------------------- signers


class Signer(Protocol):
    """A member of a committee."""

    @property
    def id(self) -> bytes:
        """As the committee knows it: 20 bytes, or a verifier's address and a key."""
        ...

    def sign(self, digest: bytes) -> bytes: ...


@dataclass(frozen=True)
class KeySigner:
    """A plain key."""

    key: bytes

    @classmethod
    def of(cls, seed: str) -> KeySigner:
        return cls(keccak(text=seed))

    @property
    def address(self) -> str:
        return str(Account.from_key(self.key).address)

    @property
    def id(self) -> bytes:
        return to_canonical_address(self.address)

    def sign(self, digest: bytes) -> bytes:
        return bytes(Account.unsafe_sign_hash(digest, self.key).signature)


@dataclass(frozen=True)
class WalletSigner:
    """A smart wallet that speaks ERC-1271, and the key of its owner."""

    wallet: str
    owner: KeySigner

    @property
    def id(self) -> bytes:
        return to_canonical_address(self.wallet)

    def sign(self, digest: bytes) -> bytes:
        return self.owner.sign(digest)


P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True)
class P256Signer:
    """A P-256 key, as a passkey or a KMS has, behind an ERC-7913 verifier."""

    verifier: str
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def of(cls, verifier: str, seed: str) -> P256Signer:
        return cls(verifier, ec.derive_private_key(int.from_bytes(keccak(text=seed)) % P256_ORDER, ec.SECP256R1()))

    @property
    def id(self) -> bytes:
        point = self.key.public_key().public_numbers()
        return to_canonical_address(self.verifier) + point.x.to_bytes(32) + point.y.to_bytes(32)

    def sign(self, digest: bytes) -> bytes:
        der = self.key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()), deterministic_signing=True))
        r, s = utils.decode_dss_signature(der)
        # OpenZeppelin takes the lower one of the two valid `s` only.
        return r.to_bytes(32) + min(s, P256_ORDER - s).to_bytes(32)


def committee_signature(signers: Iterable[Signer], digest: bytes) -> bytes:
    """What AttestorCommittee takes for a signature: all of theirs, sorted by the hash of the signer."""
    return join_signatures([(signer.id, signer.sign(digest)) for signer in sorted(signers, key=lambda each: keccak(each.id))])


def join_signatures(pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Pairs of signer and signature in the committee's form, in the order given."""
    return encode(["bytes[]", "bytes[]"], [[signer for signer, _ in pairs], [signature for _, signature in pairs]])


# --------------------------------------------------------------------------------------------------------------- trees


def leaf_of(standing: Standing) -> bytes:
    return keccak(keccak(encode(["uint256", "uint64", "uint32"], list(standing))))


def hash_pair(a: bytes, b: bytes) -> bytes:
    return keccak(min(a, b) + max(a, b))


@dataclass(frozen=True)
class MerkleTree:
    """OpenZeppelin's StandardMerkleTree with `sortLeaves: false`, over leaf hashes."""

    leaves: Sequence[bytes]

    @cached_property
    def nodes(self) -> Sequence[bytes]:
        """The root first; the leaves last, in reverse."""
        nodes = [b""] * (len(self.leaves) - 1) + list(reversed(self.leaves))
        for i in reversed(range(len(self.leaves) - 1)):
            nodes[i] = hash_pair(nodes[2 * i + 1], nodes[2 * i + 2])
        return nodes

    @property
    def root(self) -> bytes:
        return self.nodes[0]

    def proof(self, leaf: int) -> list[bytes]:
        """The siblings from leaf number `leaf` up."""
        node, proof = len(self.nodes) - 1 - leaf, []
        while node > 0:
            proof.append(self.nodes[node + 1 if node % 2 else node - 1])
            node = (node - 1) // 2
        return proof

    def multiproof(self, leaves: Iterable[int]) -> tuple[list[bytes], list[bool]]:
        """Proof and flags for these leaves, which must be handed over in ascending order."""
        queue = [len(self.nodes) - 1 - leaf for leaf in sorted(leaves)]
        proof: list[bytes] = []
        flags: list[bool] = []
        while queue and queue[0] > 0:
            node = queue.pop(0)
            sibling = node + 1 if node % 2 else node - 1
            is_known = bool(queue) and queue[0] == sibling
            flags.append(is_known)
            if is_known:
                queue.pop(0)
            else:
                proof.append(self.nodes[sibling])
            queue.append((node - 1) // 2)
        return proof, flags


def ranked(role: int, scores: Mapping[Any, int] | Sequence[tuple[Any, int]]) -> list[Standing]:
    """Standings of one role from scores in micro-points: best first, equals by account."""
    pairs = scores.items() if isinstance(scores, Mapping) else scores
    order = sorted((-score, int(account_of(account), 16)) for account, score in pairs)
    return [Standing(role << 160 | account, -score, rank) for rank, (score, account) in enumerate(order, 1)]


@dataclass(frozen=True)
class Batch:
    """The standings of an epoch, their tree, and the report of it."""

    standings: Sequence[Standing]
    tree: MerkleTree
    report: Report

    @classmethod
    def of(cls, epoch: int, standings: Sequence[Standing], **lies: Any) -> Batch:
        """Leaves in the order given. `lies` are fields of the report that shall not be what the standings say."""
        tree = MerkleTree([leaf_of(standing) for standing in standings])
        report = Report(
            epoch,
            tree.root,
            keccak(text="policy"),
            keccak(text=f"archive {epoch}"),
            sum(standing.passId >> 160 == CREATOR for standing in standings),
            sum(standing.passId >> 160 == WORKER for standing in standings),
        )
        return cls(standings, tree, report._replace(**lies))

    @property
    def epoch(self) -> int:
        return self.report.epoch

    def proof(self, standing: Standing) -> list[bytes]:
        return self.tree.proof(self.standings.index(standing))

    def standing(self, account: Any, role: int) -> Standing:
        return next(standing for standing in self.standings if standing.passId == pass_id(account, role))

    def multiproof(self, standings: Iterable[Standing] | None = None) -> tuple[list[Standing], list[bytes], list[bool]]:
        """What `sync` takes after the epoch, for these standings or for all."""
        leaves = range(len(self.standings)) if standings is None else sorted(self.standings.index(each) for each in standings)
        return [self.standings[leaf] for leaf in leaves], *self.tree.multiproof(leaves)


# ----------------------------------------------------------------------------------------------------- reverts, events


class Refusal(NamedTuple):
    """A revert: name of the error and its arguments, in order."""

    error: str
    args: tuple[Any, ...]


def refusal(error: str, *args: Any) -> Refusal:
    """The revert that is expected. Accounts and contracts stand for their addresses."""
    return Refusal(error, tuple(getattr(arg, "address", arg) for arg in args))


def refused(method: Callable[..., Any], *args: Any, sender: Any = None, value: int = 0) -> Refusal:
    """How `method` (of a contract, view or not) reverts if it is called next; an AssertionError if it does not revert."""
    call = {
        "from": account_of(sender) if sender is not None else ZERO,
        "to": method.contract.address,  # type: ignore[attr-defined]
        "data": "0x" + bytes(method.encode_input(*args)).hex(),  # type: ignore[attr-defined]
        "value": hex(value),
    }
    return refused_raw(call)


def refused_deployment(container: Any, *args: Any) -> Refusal:
    """How the constructor of a contract reverts."""
    code = container.contract_type.deployment_bytecode.bytecode
    return refused_raw({"from": ZERO, "data": "0x" + code.removeprefix("0x") + bytes(container.constructor.encode_input(*args)).hex()})


def refused_raw(call: Mapping[str, str]) -> Refusal:
    """The same for an `eth_call` object, whatever it is."""
    answer = chain.provider.web3.provider.make_request("eth_call", [call, "latest"])
    if "error" not in answer:
        raise AssertionError(f"did not revert, but returned {answer['result']}")
    return decode_refusal(bytes.fromhex(answer["error"].get("data", "0x")[2:]))


def decode_refusal(data: bytes) -> Refusal:
    """The revert that `data` tells of."""
    if not data:
        return Refusal("", ())
    name, types = _errors()[data[:4]]
    values = zip(types, decode(types, data[4:]), strict=True)
    return Refusal(name, tuple(to_checksum_address(value) if kind == "address" else value for kind, value in values))


@lru_cache(maxsize=1)
def _errors() -> dict[bytes, tuple[str, list[str]]]:
    """All errors of all contracts by their selectors, and Solidity's own two."""
    known = {keccak(text=f"{name}({kind})")[:4]: (name, [kind]) for name, kind in (("Error", "string"), ("Panic", "uint256"))}
    for contract in project.contracts.values():
        for error in contract.errors:
            types = [part.canonical_type for part in error.inputs]
            known[keccak(text=error.selector)[:4]] = (error.name, types)
    return known


def events(receipt: Any, source: Any = None) -> list[tuple[Any, ...]]:
    """The events of a transaction in their order, each as name and arguments in the order of the ABI; of one contract if named."""
    return [
        (log.event_name, *(log.event_arguments[part.name] for part in log.abi.inputs))
        for log in receipt.events
        if source is None or log.contract_address == source.address
    ]


# --------------------------------------------------------------------------------------------------------------- world


def rpc(method: str, *params: Any) -> Any:
    return chain.provider.make_request(method, list(params))


def freeze_clock() -> None:
    """From now on the chain's time moves only when it is told to: all blocks have the time of the last."""
    rpc("anvil_setBlockTimestampInterval", 0)


def now() -> int:
    return int(chain.provider.get_block("latest").timestamp)


def travel_to(time: int) -> None:
    """Make `time` the time of the latest block, for views, and of the next ones, for transactions."""
    assert time >= now(), "time only goes on"
    if time > now():
        chain.mine(timestamp=time)


def travel(seconds: int) -> None:
    travel_to(now() + seconds)


# Answers every call with the first word of its storage: an art of which only the revision is asked.
REVISION_ART = bytes.fromhex("5f545f5260205ff3")
ART = stranger(0xA27)


def art_of(revision: int) -> str:
    """An address with such an art at it."""
    rpc("anvil_setCode", ART, "0x" + REVISION_ART.hex())
    revise(revision)
    return ART


def revise(revision: int) -> None:
    rpc("anvil_setStorageAt", ART, "0x0", f"0x{revision:064x}")


@dataclass(frozen=True)
class World:
    """All contracts, deployed and put under the powers that design demands; the deployer has none left."""

    powers: Any
    committee: Any
    vip_pass: Any
    registry: Any
    admin: Any
    governor: Any
    guardian: Any
    carrier: Any  # who carries messages: anybody
    alice: Any
    bob: Any
    carol: Any
    dave: Any
    erin: Any
    signers: Sequence[Signer] = field(repr=False)
    threshold: int

    @property
    def members(self) -> list[Any]:
        """Wallets with a key, in ascending order."""
        return sorted((self.alice, self.bob, self.carol, self.dave, self.erin), key=lambda each: int(each.address, 16))

    # -------------------------------------------------------------------------------------------------------- signing

    def sign(self, message: Issuance | Report, signers: Iterable[Signer] | None = None) -> bytes:
        """The committee's signature, by as many members as it needs unless `signers` are named."""
        contract = self.vip_pass if isinstance(message, Issuance) else self.registry
        return committee_signature(signers or self.signers[: self.threshold], digest_of(message, contract, chain.chain_id))

    # --------------------------------------------------------------------------------------------------------- passes

    def issuance(self, role: int, *accounts: Any, deadline: int | None = None) -> Issuance:
        """An issuance to `accounts`, put in order; good for a day unless told otherwise."""
        ascending = sorted((account_of(account) for account in accounts), key=lambda each: int(each, 16))
        return Issuance(role, ascending, now() + DAY if deadline is None else deadline)

    def carry(self, issuance: Issuance, sender: Any = None) -> Any:
        return self.vip_pass.issue(issuance, self.sign(issuance), sender=sender or self.carrier)

    def issue(self, role: int, *accounts: Any, sender: Any = None) -> Any:
        """Sign an issuance to `accounts` and have it carried."""
        return self.carry(self.issuance(role, *accounts), sender)

    def burn(self, account: Any, role: int) -> Any:
        return self.vip_pass.burn(pass_id(account, role), sender=account)

    def revoke(self, account: Any, role: int, reason: str = "stolen card") -> Any:
        return self.vip_pass.revoke(pass_id(account, role), reason, sender=self.guardian)

    def reinstate(self, account: Any, role: int) -> Any:
        return self.vip_pass.reinstate(pass_id(account, role), sender=self.guardian)

    def status(self, account: Any, role: int) -> tuple[int, bool, int]:
        return tuple(self.vip_pass.statusOf(pass_id(account, role)))

    # -------------------------------------------------------------------------------------------------------- reports

    def next_epoch(self) -> int:
        """The epoch that a report could be of now: the last that has ended, if it has none yet, else the one after."""
        return max(now() // EPOCH_LENGTH, int(self.registry.lastEpoch()) + 1)

    def submit(self, batch: Batch, sender: Any = None) -> Any:
        return self.registry.submit(batch.report, self.sign(batch.report), sender=sender or self.carrier)

    def post(self, standings: Sequence[Standing], **lies: Any) -> Batch:
        """Wait for the next epoch to end if it must be, and submit a report of these standings."""
        epoch = self.next_epoch()
        travel_to(max(now(), epoch * EPOCH_LENGTH))
        batch = Batch.of(epoch, standings, **lies)
        self.submit(batch)
        return batch

    def activate(self, standings: Sequence[Standing], **lies: Any) -> Batch:
        """The same, and wait until it is active."""
        batch = self.post(standings, **lies)
        travel(ACTIVATION_DELAY)
        return batch

    def sync(self, batch: Batch, standings: Iterable[Standing] | None = None, sender: Any = None) -> Any:
        """Store these standings of `batch`, or all."""
        return self.registry.sync(batch.epoch, *batch.multiproof(standings), sender=sender or self.carrier)

    def veto(self, batch: Batch, reason: str = "wrong policy") -> Any:
        return self.registry.veto(batch.epoch, reason, sender=self.guardian)

    def pause(self, contract: Any) -> Any:
        return contract.pause(sender=self.guardian)

    # --------------------------------------------------------------------------------------------------------- powers

    def schedule(self, method: Any, *args: Any, sender: Any = None) -> Any:
        """Announce a call that has a delay, for the first moment that is allowed."""
        return self.powers.schedule(method.contract.address, method.encode_input(*args), 0, sender=sender or self.governor)

    def announce(self, method: Any, *args: Any) -> None:
        """The governor announces a call and waits until it may be made."""
        self.schedule(method, *args)
        travel(GOVERNOR_DELAY)

    def govern(self, method: Any, *args: Any) -> Any:
        """The governor announces a call, waits, and makes it."""
        self.announce(method, *args)
        return method(*args, sender=self.governor)


def selectors(contract: Any, *names: str) -> list[bytes]:
    """The selectors of all functions of these names."""
    return [keccak(text=abi.selector)[:4] for abi in contract.contract_type.methods if abi.name in names]


def deploy_world(project: Any, accounts: Sequence[Any], signers: Sequence[Signer] | None = None, threshold: int = 2) -> World:
    """Everything deployed from `accounts[0]`, which hands all powers over. The committee is 2 of 3 plain keys unless told otherwise."""
    signers = signers or [KeySigner.of(f"attestor {number}") for number in range(3)]
    deployer, admin, governor, guardian, carrier, alice, bob, carol, dave, erin = accounts
    powers = deployer.deploy(project.Powers, deployer)
    committee = deployer.deploy(project.AttestorCommittee, powers, [signer.id for signer in signers], threshold)
    vip_pass = deployer.deploy(project.VIPPass, powers, committee, ISSUE_LIMIT)
    registry = deployer.deploy(project.ScoreRegistry, powers, committee, vip_pass, EPOCH_LENGTH, ACTIVATION_DELAY, PRIORITY_SHARE_BPS)
    for contract in (committee, vip_pass, registry):
        for role, names in RESTRICTED[contract.contract_type.name].items():
            powers.setTargetFunctionRole(contract, selectors(contract, *names), role, sender=deployer)
    powers.setRoleGuardian(GOVERNOR, GUARDIAN, sender=deployer)
    powers.grantRole(GUARDIAN, guardian, 0, sender=deployer)
    powers.grantRole(GOVERNOR, governor, GOVERNOR_DELAY, sender=deployer)
    powers.grantRole(ADMIN, admin, ADMIN_DELAY, sender=deployer)
    powers.renounceRole(ADMIN, deployer, sender=deployer)
    people = (admin, governor, guardian, carrier, alice, bob, carol, dave, erin)
    return World(powers, committee, vip_pass, registry, *people, signers, threshold)
