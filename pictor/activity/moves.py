"""Moved accounts: which accounts count as one, told by the links of the ledger."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pictor.units import Address


@dataclass(frozen=True)
class Link:
    """From time `at` on, `origin` is now `target`. `batch` is the number of the ledger's entry that says so."""

    origin: Address
    target: Address
    at: int
    batch: int


@dataclass(frozen=True, order=True)
class Group:
    """Accounts that count as if `root` had always been the account. `moved` are all the others, sorted; at least one."""

    root: Address
    moved: tuple[Address, ...]

    @property
    def members(self) -> tuple[Address, ...]:
        """All of them."""
        return (self.root, *self.moved)


def standing(links: Iterable[Link]) -> list[Link]:
    """Those of `links` (in ledger order) that can stand together: not what closes a circle, nor a second target for one origin.

    Ingest keeps such rows out of the ledger. Should one be there all the same, the first in ledger order stand.
    """
    targets: dict[Address, Address] = {}
    kept = []
    for link in links:
        if targets.get(link.origin, link.target) != link.target or _root(link.target, targets) == link.origin:
            continue
        targets[link.origin] = link.target
        kept.append(link)
    return kept


def groups(links: Iterable[Link], end: int) -> list[Group]:
    """The groups of accounts that count as one in an epoch that ends at `end`, by root: chains of links are followed to the end."""
    targets = {link.origin: link.target for link in standing(links) if link.at < end}
    moved = defaultdict(list)
    for origin in sorted(targets):
        moved[_root(origin, targets)].append(origin)
    return [Group(root, tuple(origins)) for root, origins in sorted(moved.items())]


def _root(account: Address, targets: Mapping[Address, Address]) -> Address:
    while account in targets:
        account = targets[account]
    return account
