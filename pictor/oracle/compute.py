"""What an epoch comes to, in one party's view: standings, archive, and who is to be issued a pass. Everybody computes it here.

The same ledger up to the cut, the same blocks and the same policy give the same values, whoever computes them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pictor.activity.ledger import Position
from pictor.activity.rollups import Cut
from pictor.chain.contracts import State
from pictor.chain.errors import ChainError
from pictor.chain.node import Block
from pictor.epoch import report
from pictor.epoch.archive import Contents, compose
from pictor.epoch.messages import Issuance
from pictor.oracle.closing import cite
from pictor.oracle.passes import Passes, passes_at
from pictor.oracle.view import View
from pictor.scoring import eligible_members, score_epoch
from pictor.units import DAY, Address, Role, epoch_end

VALIDITY = 30 * DAY  # of an issuance, from the end of its epoch on


class BasisError(ChainError):
    """This party does not see what an epoch was said to be made from."""


@dataclass(frozen=True)
class Basis:
    """What an epoch is computed from.

    Who meets the conditions is asked for the end of each epoch from `tested_from` to `epoch`; all counts up to the `cut` of the ledger,
    and `recharges`, the last block that counts of each chain with a treasury (by chain id). `holders`: the last block before the end.
    """

    epoch: int
    tested_from: int
    cut: Position
    holders: report.Block
    recharges: tuple[report.Block, ...]


@dataclass(frozen=True)
class Computation:
    """What an epoch comes to.

    `earned`: `role, account, state` of all who met the conditions, have no pass (`State.NONE`, or `BURNED`: for the wallet itself to
    carry) and were not revoked; by role and account. `contents`: of the archive; None as long as there is nobody to score.
    """

    basis: Basis
    earned: pa.Table
    contents: Contents | None


def compute(view: View, basis: Basis) -> Computation:
    """Computes an epoch. Raises BasisError if `view` has not these blocks, and what ledger, rollups, chain and scoring raise."""
    policy = view.policies.at(basis.epoch)
    cut = Cut(basis.cut.number, {block.chain_id: block.number for block in basis.recharges})
    passes = passes_of(view, _same(view, basis.holders))
    for block in basis.recharges:
        number = _same(view, block).number
        for rules in policy.chains:
            if rules.chain_id == block.chain_id:
                view.recharges.sync(rules, view.sources[block.chain_id].web3, number)
    view.ledger.locate(str(basis.cut))
    view.rollups.update(cut)
    scores = score_epoch(view.rollups, policy, basis.epoch, passes.holders(), cut)
    eligible = [scores.eligible]
    for missed in range(basis.tested_from, basis.epoch):
        eligible.append(eligible_members(view.rollups, view.policies.at(missed), missed, cut))
    earned = _earned(pa.concat_tables([one.select(["role", "account"]) for one in eligible]), passes, policy.not_members)
    contents = None
    if scores.standings.num_rows:
        issued = pushed(earned) if policy.oracle.issue == "push" else earned.slice(0, 0)
        contents = compose(
            basis.epoch,
            view.registry,
            view.policy,
            scores.totals,
            scores.standings,
            issued,
            basis.cut,
            basis.holders,
            basis.recharges,
        )
    for block in (basis.holders, *basis.recharges):
        _same(view, block)  # a chain that changed meanwhile would have been read half and half
    return Computation(basis, earned, contents)


def passes_of(view: View, block: Block | None = None) -> Passes:
    """The passes at `block`, which is final, or at the latest."""
    recent = view.chain.block("finalized" if block else "latest")
    vip_pass = view.contracts(recent).vip_pass
    file = view.folder / "passes.parquet"
    return passes_at(vip_pass, block or recent, view.deployment.first_block, file, is_final=block is not None)


def pushed(earned: pa.Table) -> pa.Table:
    """Of those who earned a pass, those who never had one: it can be brought to them."""
    return earned.filter(pc.equal(earned["state"], int(State.NONE)))


def issuances(computation: Computation, epoch_length: int, issue: str, batch: int) -> tuple[Issuance, ...]:
    """For all who earned a pass: batches of up to `batch` accounts of a role where passes are pushed, one for each wallet elsewhere."""
    deadline = epoch_end(computation.basis.epoch, epoch_length) + VALIDITY
    earned = computation.earned
    brought = pushed(earned) if issue == "push" else earned.slice(0, 0)
    carried = earned.filter(pc.equal(earned["state"], int(State.BURNED))) if issue == "push" else earned
    parts = ((brought, batch), (carried, 1))
    return tuple(Issuance(role, accounts, deadline) for rows, size in parts for role, accounts in _batches(rows, size))


def _batches(rows: pa.Table, size: int) -> Iterator[tuple[Role, tuple[Address, ...]]]:
    for role in Role:
        accounts = rows.filter(pc.equal(rows["role"], int(role)))["account"].to_pylist()
        for start in range(0, len(accounts), size):
            yield role, tuple(accounts[start : start + size])


def _earned(eligible: pa.Table, passes: Passes, not_members: tuple[Address, ...]) -> pa.Table:
    """The members of `eligible` to whom a pass can be issued. A wallet that became no member meanwhile is left out."""
    unique = eligible.group_by(["role", "account"]).aggregate([])
    known = passes.of(unique)
    open_ = pc.and_(pc.not_equal(known["state"], int(State.HELD)), pc.invert(known["revoked"]))
    members = pc.invert(pc.is_in(known["account"], pa.array(not_members, pa.string())))
    rows = known.filter(pc.and_(open_, members)).select(["role", "account", "state"])
    return rows.sort_by([("role", "ascending"), ("account", "ascending")]).combine_chunks()


def _same(view: View, cited: report.Block) -> Block:
    """The block that is meant. Raises BasisError if this party's node has another one there."""
    chain = view.chain if cited.chain_id == view.chain.id else view.sources.get(cited.chain_id)
    if chain is None:
        raise BasisError(f"no node of chain {cited.chain_id} is given")
    block = chain.block(cited.number)
    if cite(cited.chain_id, block) != cited:
        raise BasisError(f"block {cited.number} of chain {cited.chain_id} is 0x{block.hash.hex()} here, not 0x{cited.hash.hex()}")
    return block
