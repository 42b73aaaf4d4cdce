"""Moved accounts that still hold a pass: it counts for nothing any more, and a guardian may revoke it."""

from dataclasses import dataclass

from pictor.oracle.compute import passes_of
from pictor.oracle.view import View
from pictor.units import Address, PassId, Role, pass_id


@dataclass(frozen=True)
class MovedPass:
    """A pass that is held by an account whose activity counts for another one."""

    role: Role
    account: Address
    to: Address

    @property
    def pass_id(self) -> PassId:
        """What the contract calls it."""
        return pass_id(self.role, self.account)


def moved_passes(view: View) -> list[MovedPass]:
    """By the links that count now, as far as the rollups are, and the passes held at the latest block."""
    roots = {moved: group.root for group in view.rollups.moves(view.now()) for moved in group.moved}
    holders = passes_of(view).holders().to_pylist() if roots else []
    found = [MovedPass(Role(row["role"]), Address(row["account"]), roots[row["account"]]) for row in holders if row["account"] in roots]
    return sorted(found, key=lambda one: one.pass_id)
