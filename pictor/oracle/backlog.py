"""What earlier proposals have left to do: passes that were attested and not yet issued, and epochs that nobody has tested yet."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile

import pyarrow as pa
import pyarrow.compute as pc

from pictor.chain.contracts import Contracts, State
from pictor.chain.errors import RevertedError
from pictor.epoch.messages import Issuance
from pictor.oracle.compute import VALIDITY, passes_of
from pictor.oracle.mailbox import Mailbox, Signatures
from pictor.oracle.proposal import Proposal
from pictor.oracle.quorum import Quorum
from pictor.oracle.view import View
from pictor.units import DAY, Address, Epoch, Role, epoch_end

RENEWAL = 7 * DAY  # an issuance that was not carried so long before it expires is proposed anew


@dataclass(frozen=True)
class Attested:
    """An issuance of a proposal, with what the contract takes as the attestor's signature; None: too few have signed."""

    issuance: Issuance
    signature: bytes | None


@dataclass
class Backlog:
    """The proposals up to `epoch`, as the latest block has them."""

    view: View
    mailbox: Mailbox
    contracts: Contracts
    epoch: int
    finished: set[int]  # epochs known to need no more looks, kept from one look to the next
    _left: dict[int, list[Signatures]] = field(default_factory=dict)
    _signatures: dict[bytes, bytes | None] = field(default_factory=dict)

    def tested_from(self) -> int:
        """The first epoch whose test of eligibility has not come to a good end: from there on, the conditions are to be tested again.

        A proposal's tests have come to a good end if it is attested, and all its passes are issued or can be.
        """
        tested: set[int] = set()
        first = self.view.first_epoch
        for proposal in self._proposals(self.epoch - 1):
            if self._is_settled(proposal):
                tested.update(range(proposal.basis.tested_from, proposal.epoch + 1))
                if self._deadline(proposal.epoch) < self._now:
                    first = max(first, Epoch(min(tested)))
                    break
        return next(epoch for epoch in range(first, self.epoch + 1) if epoch == self.epoch or epoch not in tested)

    def to_push(self) -> list[Attested]:
        """The issuances that can bring somebody a pass now, oldest first."""
        found: list[list[Attested]] = []
        for proposal in self._unexpired():
            if self._is_push(proposal):
                found.append([one for one in self._open(proposal) if one.signature and self.unissued(one.issuance)])
        return [one for some in reversed(found) for one in some]

    def unissued(self, *issuances: Issuance) -> int:
        """How many of the accounts that these name never had a pass, and were not revoked."""
        return len({(one.role, account) for one in issuances for account in one.accounts} & self._never)

    def issued(self, issuance: Issuance) -> None:
        """Notes that an issuance was carried."""
        self._never.difference_update((issuance.role, account) for account in issuance.accounts)

    @cached_property
    def _now(self) -> int:
        return self.contracts.block.timestamp

    def _deadline(self, epoch: int) -> int:
        return epoch_end(epoch, self.view.policies.epoch_length) + VALIDITY

    def _is_push(self, proposal: Proposal) -> bool:
        return self.view.policies.at(proposal.epoch).oracle.issue == "push"

    def _proposals(self, last: int) -> Iterator[Proposal]:
        """The proposals up to epoch `last`, newest first."""
        for epoch in reversed(self._epochs):
            if epoch <= last and (proposal := self.mailbox.proposal(epoch)):
                yield proposal

    def _unexpired(self) -> Iterator[Proposal]:
        """The proposals whose issuances can still be carried, newest first."""
        return takewhile(lambda proposal: self._deadline(proposal.epoch) >= self._now, self._proposals(self.epoch))

    @cached_property
    def _epochs(self) -> list[int]:
        return self.mailbox.epochs()

    @cached_property
    def quorum(self) -> Quorum:
        """Who attests issuances."""
        return Quorum.behind(self.view.chain, self.contracts.vip_pass.attestor(), self.contracts.block)

    @cached_property
    def _has_members(self) -> bool:
        return any(self.contracts.vip_pass.ever_issued(role) for role in Role)

    @cached_property
    def _states(self) -> dict[tuple[Role, Address], State]:
        """Of all accounts in unexpired proposals that can be issued a pass: whether they never had one, or burned it."""
        named = {
            (int(one.role), account)
            for proposal in self._unexpired()
            if proposal.epoch not in self.finished
            for one in proposal.issuances
            for account in one.accounts
        }
        if not named:
            return {}
        roles, accounts = zip(*named, strict=True)
        members = pa.table({"role": pa.array(roles, pa.int8()), "account": pa.array(accounts, pa.string())})
        known = passes_of(self.view).of(members)
        open_ = known.filter(pc.and_(pc.not_equal(known["state"], int(State.HELD)), pc.invert(known["revoked"])))
        return {(Role(row["role"]), Address(row["account"])): State(row["state"]) for row in open_.to_pylist()}

    @cached_property
    def _never(self) -> set[tuple[Role, Address]]:
        return {member for member, state in self._states.items() if state is State.NONE}

    def _open(self, proposal: Proposal) -> list[Attested]:
        """The issuances of a proposal that can still bring somebody a pass."""
        if proposal.epoch in self.finished:
            return []
        found = [
            self._attest(proposal, issuance)
            for issuance in proposal.issuances
            if any((issuance.role, account) in self._states for account in issuance.accounts)
        ]
        if not found and proposal.epoch < self.epoch and self._is_attested(proposal):
            self.finished.add(proposal.epoch)  # an epoch later, nothing of it can be undone any more
        return found

    def _attest(self, proposal: Proposal, issuance: Issuance) -> Attested:
        digest = issuance.digest(self.view.vip_pass)
        if digest not in self._signatures:
            if proposal.epoch not in self._left:
                self._left[proposal.epoch] = self.mailbox.signatures(proposal, self.quorum.signers)
            pairs = [(one.signer, one.by_digest[digest]) for one in self._left[proposal.epoch] if digest in one.by_digest]
            self._signatures[digest] = self.quorum.enough(digest, pairs)
        return Attested(issuance, self._signatures[digest])

    def _is_settled(self, proposal: Proposal) -> bool:
        """Whether a proposal is attested, and all its passes are issued or can be."""
        if proposal.is_empty:
            return not self._has_members  # nobody attests it, and as long as there are no members nobody needs to
        if proposal.epoch in self.finished:
            return True
        if not self._is_attested(proposal):
            return False
        left = self._open(proposal)
        expires = self._now <= self._deadline(proposal.epoch) < self._now + RENEWAL and self._is_push(proposal)
        return not left or (all(one.signature for one in left) and not expires)

    def _is_attested(self, proposal: Proposal) -> bool:
        """By what was posted, or by an issuance: an attestor signs all that it has recomputed, or nothing."""
        try:
            if self.contracts.registry.report_of(proposal.epoch) is not None:
                return True
        except RevertedError:
            pass  # unknown to the registry
        return bool(proposal.issuances) and self._attest(proposal, proposal.issuances[0]).signature is not None
