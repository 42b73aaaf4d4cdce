"""When an epoch is closed, and the blocks that it is read at.

        T                 grace
────────┼───────────────────┼──▶
   ▲    │  ▲
   │    │  a finalised block of every source chain: from then on the last one before T is known for ever
   │    every source says that it is complete up to T, or else grace has passed
   the last block before T: who holds a pass, and which recharges count
"""

from dataclasses import dataclass

from pictor.chain.node import Block, Chain
from pictor.epoch import report
from pictor.oracle.view import View
from pictor.units import Epoch, epoch_end, last_ended_epoch


@dataclass(frozen=True)
class Pins:
    """The blocks that an epoch is read at: of the passes' chain, and of each chain with a treasury (by chain id)."""

    holders: Block
    recharges: tuple[tuple[int, Block], ...]

    def cited(self, chain_id: int) -> tuple[report.Block, tuple[report.Block, ...]]:
        """The same, as proposals and reports name them."""
        return cite(chain_id, self.holders), tuple(cite(chain, block) for chain, block in self.recharges)


def cite(chain_id: int, block: Block) -> report.Block:
    """A block as proposals and reports name it."""
    return report.Block(chain_id, block.number, block.hash)


@dataclass(frozen=True)
class Closing:
    """The newest epoch that is closed, if one is; and what the next one that has ended waits for."""

    epoch: Epoch | None
    waits_for: tuple[str, ...]


def newest_closed(view: View, now: int) -> Closing:
    """How far epochs are closed at `now` (Unix seconds)."""
    waits_for: tuple[str, ...] = ()
    for epoch in range(last_ended_epoch(now, view.policies.epoch_length), view.first_epoch - 1, -1):
        found = open_points(view, epoch, now)
        if not found:
            return Closing(Epoch(epoch), waits_for)
        waits_for = found
    return Closing(None, waits_for or (f"the end of epoch {view.first_epoch}, the first",))


def open_points(view: View, epoch: int, now: int, cut: int | None = None) -> tuple[str, ...]:
    """What `epoch` waits for, in words; nothing once it is closed. `cut`: as far as the ledger is looked at (default: all)."""
    policy = view.policies.at(epoch)
    end = epoch_end(epoch, policy.epoch_length)
    chains = {view.chain.id: view.chain, **{rules.chain_id: view.sources[rules.chain_id] for rules in policy.chains}}
    found = [f"finality on chain {number}" for number, chain in chains.items() if chain.block("finalized").timestamp < end]
    if now < end + policy.grace:
        complete = view.ledger.complete_until(policy.sources, cut)
        found += [f"source {source}" for source in policy.sources if complete.get(source, 0) < end]
    return tuple(found)


def pins(view: View, epoch: int) -> Pins | None:
    """The blocks that `epoch` is read at; None as long as they can still change, or if the contracts are younger."""
    policy = view.policies.at(epoch)
    end = epoch_end(epoch, policy.epoch_length)
    holders = last_block_before(view.chain, end, view.deployment.first_block)
    if holders is None:
        return None
    recharges = []
    for rules in policy.chains:
        chain = view.sources[rules.chain_id]
        if chain.block("finalized").timestamp < end:
            return None
        if block := last_block_before(chain, end, rules.first_block):  # before its first block, a chain does not count
            recharges.append((rules.chain_id, block))
    return Pins(holders, tuple(recharges))


def last_block_before(chain: Chain, moment: int, first: int) -> Block | None:
    """The last block with a timestamp below `moment`, from block `first` on.

    None if there is none, or no block with a timestamp of `moment` or above is finalised.
    """
    high = chain.block("finalized")
    if high.timestamp < moment or high.number < first:
        return None
    low = chain.block(first)
    return None if low.timestamp >= moment else _between(chain, moment, low, high)


def block_at(chain: Chain, moment: int, first: int) -> Block:
    """The first block with a timestamp of `moment` or above, from block `first` on; the latest if there is none."""
    low, high = chain.block(first), chain.block()
    if low.timestamp >= moment:
        return low
    return chain.block(min(_between(chain, moment, low, high).number + 1, high.number))


def _between(chain: Chain, moment: int, low: Block, high: Block) -> Block:
    """The last block below `moment` from `low`, which is below, up to `high`, which is not."""
    while high.number - low.number > 1:
        middle = chain.block((low.number + high.number) // 2)
        if middle.timestamp < moment:
            low = middle
        else:
            high = middle
    return low
