"""What the chain alone says of a wallet: its passes, its standings, and whether it is prioritised."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pictor.chain.contracts import Contracts, PassStatus, PostedReport, State, StoredStanding
from pictor.chain.node import Block
from pictor.units import Address, MicroPoints, Role, epoch_end, format_micro, pass_id, to_checksum


@dataclass(frozen=True)
class RoleStatus:
    """A wallet in one role. `score` (micro-points) is the stored one of the active report, 0 without one.

    `standing`: the newest that is stored, of that report or an older one. `prioritized`: as contracts see it, by the stored standing.
    """

    role: Role
    vip_pass: PassStatus
    score: MicroPoints
    standing: StoredStanding | None
    prioritized: bool


@dataclass(frozen=True)
class WalletStatus:
    """A wallet at one block. `active`, `pending`: the reports that count, and will count. `epoch_length` in seconds."""

    account: Address
    chain_id: int
    block: Block
    epoch_length: int
    active: PostedReport | None
    pending: PostedReport | None
    roles: tuple[RoleStatus, ...]

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values: addresses checksummed, hashes and ids in hex, times in Unix seconds, scores in micro-points."""
        return {
            "account": to_checksum(self.account),
            "chain_id": self.chain_id,
            "block": {"number": self.block.number, "hash": f"0x{self.block.hash.hex()}", "timestamp": self.block.timestamp},
            "active_report": _report_json(self.active),
            "pending_report": _report_json(self.pending),
            "roles": {status.role.name.lower(): self._role_json(status) for status in self.roles},
        }

    def lines(self) -> list[str]:
        """The same for people."""
        return [
            f"{to_checksum(self.account)} on chain {self.chain_id} at block {self.block.number}, {_time(self.block.timestamp)}",
            self._reports_line(),
            *(f"{status.role.name.capitalize()}: {_pass_words(status.vip_pass)}{self._standing_words(status)}" for status in self.roles),
        ]

    def _role_json(self, status: RoleStatus) -> dict[str, Any]:
        standing = status.standing
        return {
            "pass_id": hex(pass_id(status.role, self.account)),
            "vip": status.vip_pass.held,
            "state": status.vip_pass.state.name.lower(),
            "revoked": status.vip_pass.revoked,
            "issued_at": status.vip_pass.issued_at,
            "score": status.score,
            "standing": standing and {"epoch": standing.epoch, "score": standing.score, "rank": standing.rank},
            "prioritized": status.prioritized,
        }

    def _reports_line(self) -> str:
        if self.active is None:
            line = "No report is active"
        else:
            ended = _time(epoch_end(self.active.epoch, self.epoch_length))
            line = f"Active report: epoch {self.active.epoch}, which ended {ended}, submitted {_time(self.active.submitted_at)}"
        if self.pending is not None:
            line += f"; epoch {self.pending.epoch} follows {_time(self.pending.activates_at)}"
        return line

    def _standing_words(self, status: RoleStatus) -> str:
        if not status.vip_pass.held:
            return ""
        standing = status.standing
        if standing is None:
            return "; no standing is stored (one can be proven from the epoch's archive)"
        words = f"; score {format_micro(standing.score)}, rank {standing.rank}"
        if self.active is None or standing.epoch != self.active.epoch:
            return f"{words} in epoch {standing.epoch}, the last one stored"
        return f"{words} of {self.active.members(status.role)}, {'prioritised' if status.prioritized else 'not prioritised'}"


def read_status(contracts: Contracts, account: Address) -> WalletStatus:
    """What `contracts` say of `account` at the block that they are pinned to."""
    vip_pass, registry = contracts.vip_pass, contracts.registry
    roles = tuple(
        RoleStatus(
            role,
            vip_pass.status_of(pass_id(role, account)),
            registry.score_of(account, role),
            registry.standing_of(account, role),
            registry.is_prioritized(account, role),
        )
        for role in Role
    )
    active, pending = registry.active_report(), registry.pending_report()
    return WalletStatus(account, contracts.powers.chain.id, contracts.block, registry.epoch_length(), active, pending, roles)


def _report_json(report: PostedReport | None) -> dict[str, Any] | None:
    if report is None:
        return None
    return {
        "epoch": report.epoch,
        "root": f"0x{report.root.hex()}",
        "creators": report.creators,
        "workers": report.workers,
        "submitted_at": report.submitted_at,
        "activates_at": report.activates_at,
    }


def _pass_words(status: PassStatus) -> str:
    if status.revoked:
        return "revoked"
    if status.state is State.HELD:
        return f"VIP since {_time(status.issued_at)}"
    return "burned its pass" if status.state is State.BURNED else "no pass"


def _time(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
