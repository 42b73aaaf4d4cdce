"""Random lives of the contracts, held to the plain model after every step. docs/invariants.md numbers the laws."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ape import chain
from eth_abi.abi import decode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.model import ROLES, PassModel, Powers, Refused, RegistryModel, outcome
from tests.contracts.raw import Call, Raw, ask_all, perform, rewound, send, travel_to, tries
from tests.contracts.support import (
    ACTIVATION_DELAY,
    BURNED,
    CREATOR,
    DAY,
    EPOCH_LENGTH,
    GOVERNOR,
    HELD,
    ISSUE_LIMIT,
    NONE,
    PRIORITY_SHARE_BPS,
    WORKER,
    ZERO,
    Batch,
    Issuance,
    KeySigner,
    Refusal,
    Report,
    Standing,
    World,
    digest_of,
    now,
    pass_id,
    ranked,
    refusal,
    travel,
)

TRANSFER = "0x" + keccak(text="Transfer(address,address,uint256)").hex()
USURPER = KeySigner.of("usurper")  # a plain key, which may become the attestor
WATCHED = 6  # reports, the newest, that are read after every step

# ---------------------------------------------------------------------------------------------------------------- actors


@dataclass(frozen=True)
class Lab:
    """The world with a governor who need not wait, so that a random life does not lose two days with each of their acts."""

    world: World
    governor: Any
    vip_pass: Raw
    registry: Raw

    @cached_property
    def wallets(self) -> list[str]:
        return [account.address for account in self.world.members[:3]]

    @cached_property
    def callers(self) -> Mapping[str, str]:
        names = dict(zip(("alice", "bob", "carol"), self.wallets, strict=True))
        return names | {"guardian": self.world.guardian.address, "governor": self.governor.address, "anybody": self.world.carrier.address}

    @cached_property
    def ids(self) -> list[int]:
        return [pass_id(wallet, role) for wallet in self.wallets for role in ROLES]


@pytest.fixture
def lab(project: Any, world: World) -> Lab:
    governor = world.members[-1]
    grant = (GOVERNOR, governor, 0)
    world.schedule(world.powers.grantRole, *grant, sender=world.admin)
    travel(3 * DAY)
    world.powers.grantRole(*grant, sender=world.admin)
    world.vip_pass.setArt(governor.deploy(project.PassArt, world.vip_pass, world.registry), sender=governor)
    return Lab(world, governor, Raw(world.vip_pass), Raw(world.registry))


# ------------------------------------------------------------------------------------------------------------ strategies

WALLETS = st.integers(0, 2)
NAMES = ("alice", "bob", "carol")
CALLERS = st.sampled_from((*NAMES, "guardian", "governor", "anybody"))
PICKS = st.sampled_from((0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6))  # one of a list, mostly the first; counted around if there are less
SCORES = st.one_of(st.integers(0, 3), st.just(2**64 - 1))


def flaws(*kinds: str) -> st.SearchStrategy[str]:
    """What is wrong with an act; mostly nothing."""
    return st.sampled_from(("",) * 4 * len(kinds) + kinds)


class Id(NamedTuple):
    """A pass id by what it says, so that examples can be read: a wallet's number, a role, and what strays above it."""

    wallet: int | None
    role: int
    stray: int

    def of(self, lab: Lab) -> int:
        account = int(lab.wallets[self.wallet], 16) if self.wallet is not None else 0
        return self.stray << 200 | self.role << 160 | account


TRUE_IDS = st.builds(Id, WALLETS, st.sampled_from(ROLES), st.just(0))
FALSE_IDS = st.sampled_from((Id(0, 0, 0), Id(0, 3, 0), Id(None, CREATOR, 0), Id(1, CREATOR, 1), Id(2, WORKER, 2**55)))


class Lie(NamedTuple):
    """One thing said of the standings that is not so."""

    kind: str  # "score", "rank", "passId": changes that of a leaf; "more": one leaf more; "creators", "workers", "root": of the report
    leaf: int
    value: Any


LIES = st.one_of(
    st.builds(Lie, st.just("score"), PICKS, SCORES),
    st.builds(Lie, st.just("rank"), PICKS, st.sampled_from((0, 1, 2, 3, 7, 2**32 - 1))),
    st.builds(Lie, st.sampled_from(("passId", "more")), PICKS, st.one_of(TRUE_IDS, FALSE_IDS)),
    st.builds(Lie, st.sampled_from(("creators", "workers")), st.just(0), st.sampled_from((0, 1, 2, 3, 2**32 - 1))),
    st.just(Lie("root", 0, bytes(32))),
)


class Posting(NamedTuple):
    batch: Batch
    is_honest: bool
    suspects: Sequence[Standing]  # the leaves, first those that an honest report would not have


# --------------------------------------------------------------------------------------------------------------- the life


class Step(NamedTuple):
    """Something done in a life: a method of {Life} and its arguments."""

    does: str
    args: dict[str, Any]


STEPS: list[st.SearchStrategy[Step]] = []
LAWS: list[Callable[[Life], None]] = []


def step(weight: int = 1, **args: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Makes a method something that can be done in a life, with arguments like these."""

    def register(method: Callable[..., None]) -> Callable[..., None]:
        # One strategy each, as equal ones count once.
        STEPS.extend(st.builds(Step, st.just(method.__name__), st.fixed_dictionaries(args)) for _ in range(weight))
        return method

    return register


def law(check: Callable[[Life], None]) -> Callable[[Life], None]:
    """Has it checked after each step."""
    LAWS.append(check)
    return check


class Life:
    """Anybody does anything at any time. What the model predicts must happen, to the letter, and the laws must hold."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.time = now()
        powers = Powers(lab.governor.address, lab.world.guardian.address)
        committee = lab.world.committee.address
        self.passes = PassModel(powers, attestor=committee, limit=ISSUE_LIMIT)
        self.registry = RegistryModel(
            powers,
            passes=self.passes,
            epoch_length=EPOCH_LENGTH,
            activation_delay=ACTIVATION_DELAY,
            priority_share_bps=PRIORITY_SHARE_BPS,
            attestor=committee,
        )
        self.issuances: list[tuple[Issuance, bytes, str | None]] = []  # signed by whoever, carried or not
        self.postings: dict[int, Posting] = {}  # by epoch
        self.vetoed: set[int] = set()
        self.owners: dict[int, str] = {}  # as the log tells
        self.before: dict[Any, Any] = {}  # what was read after the step before
        self.seen: dict[Any, Any] = {}
        self.caller = ""  # of the last act
        self.logs: list[Any] = []  # of the last act
        self.replayed: list[Any] = []  # what the log says of the issuance of the last step, carried again
        self.issued_now = 0  # passes, in the last step
        self.issued_on: Counter[int] = Counter()  # passes, by UTC day, as the log tells

    def live(self, steps: Sequence[Step]) -> None:
        """From a world where all are members: what is rare in it comes about by itself."""
        for role in ROLES:
            self.issue(role, {0, 1, 2}, DAY, "", "anybody")
        for does, args in steps:
            self.issued_now, self.replayed = 0, []
            getattr(self, does)(**args)
            self.read()
            for check in LAWS:
                check(self)

    # ----------------------------------------------------------------------------------------------------------- passes

    @step(
        4,
        role=st.sampled_from(ROLES),
        wallets=st.sets(WALLETS, min_size=1),
        good_for=st.sampled_from((10 * DAY, 0)),
        flaw=flaws("role", "nobody", "twice", "zero", "unordered", "expired", "usurper", "unsigned"),
        sender=CALLERS,
    )
    def issue(self, role: int, wallets: set[int], good_for: int, flaw: str, sender: str) -> None:
        accounts = [self.lab.wallets[wallet] for wallet in sorted(wallets)]
        accounts = {"nobody": [], "twice": accounts[:1] + accounts, "zero": [ZERO, *accounts], "unordered": accounts[::-1]}.get(
            flaw, accounts
        )
        issuance = Issuance(3 if flaw == "role" else role, accounts, self.time + (-1 if flaw == "expired" else good_for))
        self.issuances.append((issuance, *self.sign(issuance, self.passes.attestor, flaw)))
        self.carry(-1, sender)

    @step(2, which=PICKS, sender=CALLERS)
    def carry(self, which: int, sender: str) -> None:
        if self.issuances:
            issuance, signature, signer = self.issuances[which % len(self.issuances)]
            digest = digest_of(issuance, self.lab.world.vip_pass, chain.chain_id)
            call = self.lab.vip_pass("issue", issuance, signature)
            if self.act(sender, call, lambda caller: self.passes.issue(self.time, caller, issuance, digest, signer)):
                self.issued_now = sum(log["topics"][0] == TRANSFER for log in self.logs)
                self.issued_on[self.time // DAY] += self.issued_now
                self.replayed = send(call, self.caller)["logs"]

    @step(1, id_=TRUE_IDS, flaw=flaws("id", "sender"), false=FALSE_IDS, sender=CALLERS)
    def burn(self, id_: Id, flaw: str, false: Id, sender: str) -> None:
        passId = (false if flaw == "id" else id_).of(self.lab)
        caller = sender if flaw == "sender" else NAMES[id_.wallet or 0]
        self.act(caller, self.lab.vip_pass("burn", passId), lambda caller: self.passes.burn(caller, passId))

    @step(1, id_=TRUE_IDS, flaw=flaws("id", "sender", "reason"), false=FALSE_IDS, sender=CALLERS)
    def revoke(self, id_: Id, flaw: str, false: Id, sender: str) -> None:
        passId = (false if flaw == "id" else id_).of(self.lab)
        reason = "" if flaw == "reason" else "fraud"
        call = self.lab.vip_pass("revoke", passId, reason)
        self.act(sender if flaw == "sender" else "guardian", call, lambda caller: self.passes.revoke(caller, passId, reason))

    @step(2, id_=TRUE_IDS, flaw=flaws("id", "sender"), false=FALSE_IDS, sender=CALLERS)
    def reinstate(self, id_: Id, flaw: str, false: Id, sender: str) -> None:
        passId = (false if flaw == "id" else id_).of(self.lab)
        call = self.lab.vip_pass("reinstate", passId)
        self.act(sender if flaw == "sender" else "guardian", call, lambda caller: self.passes.reinstate(caller, passId))

    @step(1, id_=TRUE_IDS, to=WALLETS, sender=CALLERS, way=st.integers(0, 4))
    def move(self, id_: Id, to: int, sender: str, way: int) -> None:
        passId, source, target = id_.of(self.lab), self.lab.wallets[id_.wallet or 0], self.lab.wallets[to]
        call = (
            self.lab.vip_pass("approve", target, passId),
            self.lab.vip_pass("setApprovalForAll", target, True),
            self.lab.vip_pass("transferFrom", source, target, passId),
            self.lab.vip_pass("safeTransferFrom(address,address,uint256)", source, target, passId),
            self.lab.vip_pass("safeTransferFrom(address,address,uint256,bytes)", source, target, passId, b"hello"),
        )[way]
        self.act(sender, call, refuse)

    @step(sender=CALLERS)
    def refresh(self, sender: str) -> None:
        active = self.registry.active(self.time)
        self.act(sender, self.lab.vip_pass("refresh"), lambda _: self.passes.refresh(active.epoch if active else 0))

    # ---------------------------------------------------------------------------------------------------------- reports

    @step(
        5,
        scores=st.lists(SCORES, min_size=6, max_size=6),
        lies=st.one_of(st.just([]), st.lists(LIES, min_size=1, max_size=3)),
        flaw=flaws("next", "future", "last", "none", "usurper", "unsigned"),
        sender=CALLERS,
    )
    def submit(self, scores: list[int], lies: list[Lie], flaw: str, sender: str) -> None:
        """A report of the holders as they are now, with these scores, but for the lies."""
        newest, last = self.time // EPOCH_LENGTH, self.registry.last_epoch
        epoch = {"next": last + 1, "future": newest + 1, "last": last, "none": 0}.get(flaw, newest)
        by_id = dict(zip(self.lab.ids, scores, strict=True))
        by_role = [[(owner_in(id_), by_id[id_]) for id_ in self.passes.holders(role)] for role in ROLES]
        honest = [standing for role, pairs in zip(ROLES, by_role, strict=True) for standing in ranked(role, pairs)]
        posting = tell(self.lab, epoch, honest, lies)
        report = posting.batch.report
        signature, signer = self.sign(report, self.registry.attestor, flaw)
        digest = digest_of(report, self.lab.world.registry, chain.chain_id)
        call = self.lab.registry("submit", report, signature)
        if self.act(sender, call, lambda _: self.registry.submit(self.time, report, digest, signer)):
            self.postings[epoch] = posting

    @step(1, age=PICKS, flaw=flaws("sender", "reason", "epoch"), sender=CALLERS)
    def veto(self, age: int, flaw: str, sender: str) -> None:
        epoch = self.posting(age).batch.epoch + (flaw == "epoch")
        reason = "" if flaw == "reason" else "wrong"
        call = self.lab.registry("veto", epoch, reason)
        if self.act(sender if flaw == "sender" else "guardian", call, lambda caller: self.registry.veto(caller, epoch, reason)):
            self.vetoed.add(epoch)

    @step(5, age=PICKS, a=PICKS, b=st.one_of(st.none(), PICKS), flaw=flaws("score", "proof", "epoch"), sender=CALLERS)
    def challenge(self, age: int, a: int, b: int | None, flaw: str, sender: str) -> None:
        batch, _, suspects = self.posting(age)
        epoch = batch.epoch + (flaw == "epoch")
        standings = [suspects[number % len(suspects)] for number in (a, a if b is None else b)]
        proofs = [batch.proof(standing) for standing in standings]
        if flaw == "score":
            standings[1] = standings[1]._replace(score=standings[1].score ^ 1)
        if flaw == "proof":
            proofs[0] = proofs[0][:-1]
        arguments = (standings[0], proofs[0], standings[1], proofs[1])
        reasons: list[str] = []
        call = self.lab.registry("challenge", epoch, *arguments)
        if self.act(sender, call, lambda _: reasons.append(self.registry.challenge(epoch, *arguments))):
            assert decode(["string"], bytes.fromhex(self.logs[0]["data"][2:])) == tuple(reasons)

    @step(6, age=PICKS, leaves=st.sets(PICKS, min_size=1), flaw=flaws("score", "proof", "flags", "epoch", "nothing"), sender=CALLERS)
    def sync(self, age: int, leaves: set[int], flaw: str, sender: str) -> None:
        batch = self.posting(age).batch
        epoch = batch.epoch + (flaw == "epoch")
        numbers = [] if flaw == "nothing" else sorted({leaf % len(batch.standings) for leaf in leaves})
        standings = [batch.standings[number] for number in numbers]
        proof, flags = batch.tree.multiproof(numbers)
        if flaw == "score":
            standings[0] = standings[0]._replace(score=standings[0].score ^ 1)
        if flaw == "proof":
            proof = proof[:-1]
        if flaw == "flags":
            flags = [*flags, True]
        call = self.lab.registry("sync", epoch, standings, proof, flags)
        self.act(sender, call, lambda _: self.registry.sync(self.time, epoch, standings, proof, flags))

    # ------------------------------------------------------------------------------------------------- powers and time

    @step(
        2,
        what=st.sampled_from(("pause", "unpause", "unpause", "unpause", "setIssueLimit", "setAttestor")),
        of_passes=st.booleans(),
        limit=st.sampled_from((1_000, 0, 1, 2, 3, 5)),
        attestor=st.sampled_from(("committee", "usurper", "zero")),
        flaw=flaws("sender"),
        sender=CALLERS,
    )
    def govern(self, what: str, of_passes: bool, limit: int, attestor: str, flaw: str, sender: str) -> None:
        raw, model = (self.lab.vip_pass, self.passes) if of_passes else (self.lab.registry, self.registry)
        caller = sender if flaw == "sender" else "guardian" if what == "pause" else "governor"
        if what in ("pause", "unpause"):
            self.act(caller, raw(what), getattr(model, what))
        elif what == "setIssueLimit":
            self.act(caller, self.lab.vip_pass(what, limit), lambda caller: self.passes.set_issue_limit(caller, limit))
        else:
            address = {"committee": self.lab.world.committee.address, "usurper": USURPER.address, "zero": ZERO}[attestor]
            self.act(caller, raw(what, address), lambda caller: model.set_attestor(caller, address))

    @step(5, seconds=st.sampled_from((DAY, DAY, DAY, ACTIVATION_DELAY, ACTIVATION_DELAY - 1, 1, DAY // 2, 70 * DAY)))
    def wait(self, seconds: int) -> None:
        self.travel_to(self.time + seconds)

    @step(4, early=st.sampled_from((0, 0, 1)))
    def wait_for_activation(self, early: int) -> None:
        pending = self.registry.pending(self.time)
        if pending:
            self.travel_to(max(self.time, pending.submitted_at + ACTIVATION_DELAY - early))

    # ------------------------------------------------------------------------------------------------------------- laws

    @law
    def the_model_predicts_every_reader(self) -> None:
        assert self.seen == self.predicted

    @law
    def a_pass_never_changes_hands(self) -> None:
        for passId in self.lab.ids:
            assert self.seen["ownerOf", passId] in (owner_in(passId), refusal("ERC721NonexistentToken", passId))

    @law
    def the_log_tells_who_holds_what(self) -> None:
        owners = {passId: self.seen["ownerOf", passId] for passId in self.lab.ids}
        assert self.owners == {passId: owner for passId, owner in owners.items() if not isinstance(owner, Refusal)}

    @law
    def a_revoked_wallet_never_counts(self) -> None:
        for passId in self.lab.ids:
            _, revoked, _ = self.seen["statusOf", passId]
            if revoked:
                assert not self.seen["isVip", passId]
                assert not self.seen["isPrioritized", passId]
                assert self.seen["scoreOf", passId] == 0
                assert self.seen["standingOf", passId] == (0, 0, 0)

    @law
    def members_are_the_holders(self) -> None:
        for role in ROLES:
            assert self.seen["members", role] == sum(self.seen["isVip", passId] for passId in self.lab.ids if passId >> 160 == role)

    @law
    def ever_issued_never_falls(self) -> None:
        for role in ROLES:
            assert self.seen["everIssued", role] >= max(self.seen["members", role], self.before.get(("everIssued", role), 0))

    @law
    def a_revocation_touches_nothing_but_itself(self) -> None:
        for (state, revoked, issued_at), (was, was_revoked, was_issued_at) in self.changes("statusOf"):
            assert revoked == was_revoked or (state, issued_at) == (was, was_issued_at)

    @law
    def a_pass_once_issued_never_becomes_unissued(self) -> None:
        for (state, _, issued_at), (was, _, was_issued_at) in self.changes("statusOf"):
            assert (state == NONE) == (issued_at == 0)
            assert (state == NONE) <= (was == NONE)
            assert issued_at >= was_issued_at

    @law
    def a_burned_pass_comes_back_by_its_wallet_only(self) -> None:
        for passId in self.lab.ids:
            if self.before.get(("statusOf", passId), (NONE,))[0] == BURNED and self.seen["statusOf", passId][0] == HELD:
                assert self.caller == owner_in(passId)

    @law
    def an_issuance_replayed_does_nothing(self) -> None:
        assert self.replayed == []

    @law
    def no_day_sees_more_passes_than_its_limit(self) -> None:
        if self.issued_now:
            assert self.issued_on[self.time // DAY] <= self.seen["issueLimit"]

    @law
    def one_report_is_pending_at_most_and_epochs_rise(self) -> None:
        active, pending, last = self.seen["activeReport"], self.seen["pendingReport"], self.seen["lastEpoch"]
        assert last >= self.before.get("lastEpoch", 0)
        assert pending[0] in (0, last)
        assert active[0] <= last
        assert active[0] == 0 or active[0] != pending[0]

    @law
    def a_void_epoch_stays_void_and_is_never_believed(self) -> None:
        for is_void, was_void in self.changes("isVoid"):
            assert is_void >= was_void
        for reader in ("activeReport", "pendingReport"):
            epoch, *_, is_void = self.seen[reader]
            assert not is_void
            assert not self.registry.is_void(epoch)

    @law
    def what_counts_is_of_the_active_report_and_of_a_held_pass(self) -> None:
        active = self.seen["activeReport"][0]
        for passId in self.lab.ids:
            counts = self.seen["isPrioritized", passId] or self.seen["scoreOf", passId]
            if counts:
                assert self.seen["isVip", passId]
                assert active != 0
                epoch, score, rank = self.seen["standingOf", passId]
                assert (epoch, score) == (active, self.seen["scoreOf", passId])
                assert Standing(passId, score, rank) in self.postings[active].batch.standings

    @law
    def a_proof_counts_for_the_active_report_only(self) -> None:
        for epoch, posting in self.postings.items():
            for standing in posting.batch.standings:
                if self.seen.get(("isPrioritized", epoch, standing)) is True:
                    assert self.seen["activeReport"][1] == posting.batch.report.root
                    assert self.seen["isVip", standing.passId]

    @law
    def storage_says_no_more_than_the_proof(self) -> None:
        active = self.seen["activeReport"][0]
        if active and self.postings[active].is_honest:
            for standing in self.postings[active].batch.standings:
                assert self.seen["isPrioritized", standing.passId] <= self.seen["isPrioritized", active, standing]

    @law
    def no_more_than_the_share_is_prioritized(self) -> None:
        active = self.seen["activeReport"][0]
        if active and self.postings[active].is_honest:
            report = self.postings[active].batch.report
            for role, members in ((CREATOR, report.creators), (WORKER, report.workers)):
                best = sum(self.seen["isPrioritized", passId] for passId in self.lab.ids if passId >> 160 == role)
                assert best <= -(-members * PRIORITY_SHARE_BPS // 10_000)

    @law
    def only_the_guardian_voids_an_honest_report(self) -> None:
        for epoch, posting in self.postings.items():
            if posting.is_honest and self.registry.is_void(epoch):
                assert epoch in self.vetoed

    # ---------------------------------------------------------------------------------------------------------- the work

    def act(self, sender: str, call: Call, action: Callable[[str], Any]) -> bool:
        """Make `call`, which must do what `action` does to the model, or revert as it does. Whether it succeeded."""
        self.caller, self.logs = self.lab.callers[sender], []
        receipt = perform(call, self.caller, outcome(action, self.caller))
        if receipt is None:
            return False
        self.logs = receipt["logs"]
        self.follow_log()
        return True

    def changes(self, reader: str) -> Iterator[tuple[Any, Any]]:
        """What a reader says after the step and what it said before, of everything that it was asked of both times."""
        for key, value in self.seen.items():
            if key[0] == reader and key in self.before:
                yield value, self.before[key]

    def follow_log(self) -> None:
        """What somebody who reads nothing but Transfer events knows. No transfer has a holder at both ends."""
        for log in self.logs:
            if log["topics"][0] == TRANSFER:
                source, target, passId = (int(topic, 16) for topic in log["topics"][1:])
                assert (source == 0) != (target == 0)
                if target:
                    assert passId not in self.owners
                    self.owners[passId] = owner_in(target)
                else:
                    assert self.owners.pop(passId) == owner_in(source)

    def posting(self, age: int) -> Posting:
        """One of those that were posted, or else one that never was."""
        postings = list(self.postings.values())
        return postings[-1 - age % len(postings)] if postings else tell(self.lab, 1, [], [])

    def sign(self, message: Issuance | Report, attestor: str, flaw: str) -> tuple[bytes, str | None]:
        """The attestor's signature unless there is a flaw, and whose it is."""
        world = self.lab.world
        if flaw == "unsigned":
            return b"\x01" * 65, None
        if flaw == "usurper" or attestor == USURPER.address:
            contract = world.vip_pass if isinstance(message, Issuance) else world.registry
            return USURPER.sign(digest_of(message, contract, chain.chain_id)), USURPER.address
        return world.sign(message), world.committee.address

    def travel_to(self, time: int) -> None:
        if time > self.time:
            travel_to(time)
            self.time = time

    def read(self) -> None:
        """Ask everything, of the chain and of the model."""
        questions = list(self.questions())
        answers = ask_all(call for _, call, _ in questions)
        self.before, self.seen = self.seen, {key: answer for (key, _, _), answer in zip(questions, answers, strict=True)}
        self.predicted = {key: value for key, _, value in questions}

    def questions(self) -> Iterator[tuple[Any, Call, Any]]:
        """What is asked after each step: a name for the question, the call, and the model's answer."""
        vip, reg, passes, registry, time = self.lab.vip_pass, self.lab.registry, self.passes, self.registry, self.time
        for passId in self.lab.ids:
            wallet, role, it = owner_in(passId), passId >> 160, passes.passes[passId]
            nobody = refusal("ERC721NonexistentToken", passId)
            yield ("statusOf", passId), vip("statusOf", passId), (it.state, it.revoked, it.issued_at)
            yield ("ownerOf", passId), vip("ownerOf", passId), wallet if it.is_held else nobody
            yield ("issuedAt", passId), vip("issuedAt", passId), it.issued_at if it.is_held else nobody
            yield ("isVip", passId), vip("isVip", wallet, role), it.is_held
            yield ("scoreOf", passId), reg("scoreOf", wallet, role), registry.score_of(time, wallet, role)
            yield ("standingOf", passId), reg("standingOf", wallet, role), registry.standing_of(time, wallet, role)
            prioritized = registry.is_prioritized(time, wallet, role)
            yield ("isPrioritized", passId), reg("isPrioritized(address,uint8)", wallet, role), prioritized
        for wallet in self.lab.wallets:
            yield ("balanceOf", wallet), vip("balanceOf", wallet), sum(passes.is_vip(wallet, role) for role in ROLES)
        for role in ROLES:
            yield ("members", role), vip("members", role), len(passes.holders(role))
            yield ("everIssued", role), vip("everIssued", role), passes.ever_issued(role)
        yield "issueLimit", vip("issueLimit"), passes.limit
        yield "issuesLeft", vip("issuesLeft"), passes.issues_left(time)
        for name, raw, model in (("pass", vip, passes), ("registry", reg, registry)):
            yield ("attestor", name), raw("attestor"), model.attestor
            yield ("paused", name), raw("paused"), model.paused

        yield "lastEpoch", reg("lastEpoch"), registry.last_epoch
        yield "activeReport", reg("activeReport"), registry.told(registry.active(time))
        yield "pendingReport", reg("pendingReport"), registry.told(registry.pending(time))
        for posted in registry.reports[-WATCHED:]:
            yield ("reportOf", posted.epoch), reg("reportOf", posted.epoch), registry.told(posted)
            yield ("isVoid", posted.epoch), reg("isVoid", posted.epoch), posted.is_void
            batch = self.postings[posted.epoch].batch
            for standing in batch.standings:
                proof = batch.proof(standing)
                verified = outcome(posted.proves, standing, proof)
                yield ("verify", posted.epoch, standing), reg("verify", posted.epoch, standing, proof), verified
                call = reg("isPrioritized((uint256,uint64,uint32),bytes32[])", standing, proof)
                prioritized = outcome(registry.is_prioritized_by_proof, time, standing, proof)
                yield ("isPrioritized", posted.epoch, standing), call, prioritized


def refuse(*_: Any) -> None:
    raise Refused("Soulbound")


@cache
def owner_in(passId: int) -> str:
    return to_checksum_address(f"0x{passId % 2**160:040x}")


def tell(lab: Lab, epoch: int, honest: Sequence[Standing], lies: Sequence[Lie]) -> Posting:
    """The report of these standings, but for the lies. A tree has a leaf: where there is nobody to tell of, it is of nobody."""
    standings = list(honest) or [Standing(1, 0, 1)]
    claims: dict[str, Any] = {}
    for kind, leaf, value in lies:
        number = leaf % len(standings)
        if kind == "score":
            standings[number] = standings[number]._replace(score=value)
        elif kind == "rank":
            standings[number] = standings[number]._replace(rank=value)
        elif kind == "passId":
            standings[number] = standings[number]._replace(passId=value.of(lab))
        elif kind == "more":
            standings.insert(number, Standing(value.of(lab), leaf, leaf))
        else:
            claims[kind] = value
    suspects = sorted(standings, key=lambda standing: standing in honest)
    return Posting(Batch.of(epoch, standings, **claims), bool(honest) and not lies, suspects)


@tries(25)
@given(steps=st.lists(st.one_of(STEPS), min_size=40, max_size=60))
def test_any_life_follows_the_model_and_keeps_the_laws(lab: Lab, steps: list[Step]) -> None:
    with rewound():
        Life(lab).live(steps)


def test_the_table_names_every_law_and_only_tests_that_there_are() -> None:
    folder = Path(__file__).parent
    named = set(re.findall(r"`(\w+)`", (folder.parents[1] / "docs" / "invariants.md").read_text()))
    written = {name for file in folder.glob("test_*.py") for name in re.findall(r"def (\w+)", file.read_text())}
    assert {each.__name__ for each in LAWS} <= named <= written
