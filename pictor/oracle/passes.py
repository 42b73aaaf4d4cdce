"""All passes as of one block: who holds one, since when, and who has burned or lost theirs.

A Transfer from zero is an issue, one to zero a burn. A pass that was ever revoked or reinstated is asked for by itself: those are few,
and a Transfer does not tell a burn from a revocation. What is known at a block is kept in a file, so that each event is fetched once;
the file can always be made anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pictor.chain.contracts import PassStatus, State, VIPPass
from pictor.chain.errors import ChainError
from pictor.chain.files import sync_folder
from pictor.chain.node import Block
from pictor.units import Address, PassId, Role, Timestamp, pass_id, split_pass_id

ZERO = "0x" + 40 * "0"
NEVER = PassStatus(State.NONE, False, Timestamp(0))
SCHEMA = pa.schema(
    [("account", pa.string()), ("role", pa.int8()), ("state", pa.int8()), ("revoked", pa.bool_()), ("issued_at", pa.int64())]
)


class PassesError(ChainError):
    """What the node tells of the passes does not add up."""


@dataclass(frozen=True)
class Passes:
    """Every pass that was ever issued or revoked, as of `block`."""

    block: Block
    statuses: Mapping[PassId, PassStatus]

    def status(self, account: Address, role: Role) -> PassStatus:
        """The state of one pass."""
        return self.statuses.get(pass_id(role, account), NEVER)

    def holders(self) -> pa.Table:
        """`account, role, issued_at` of the passes that are held, as scoring takes them."""
        held = {number: status for number, status in self.statuses.items() if status.held}
        return _table(held).select(["account", "role", "issued_at"])


def passes_at(vip_pass: VIPPass, first_block: int, file: Path | None = None) -> Passes:
    """The passes at the block that `vip_pass` is pinned to; `first_block`: where it was created.

    Goes on from what `file` knows, if that is of this contract and not of a later block or another history, and leaves the news there.
    Raises PassesError unless the passes held are as many as the contract says.
    """
    known = _load(file, vip_pass) if file else None
    statuses = dict(known.statuses) if known else {}
    start = known.block.number + 1 if known else first_block
    if start <= vip_pass.block.number:
        _replay(statuses, vip_pass, start)
    for role in Role:
        held = sum(status.held for number, status in statuses.items() if split_pass_id(number)[0] is role)
        if held != (members := vip_pass.members(role)):
            if file:
                file.unlink(missing_ok=True)  # what it knows may be what is wrong: the next look begins anew
            raise PassesError(f"block {vip_pass.block.number}: events lead to {held} members of role {role}, the contract has {members}")
    passes = Passes(vip_pass.block, statuses)
    if file:
        _save(file, passes, vip_pass)
    return passes


def _replay(statuses: dict[PassId, PassStatus], vip_pass: VIPPass, start: int) -> None:
    times: dict[int, Timestamp] = {}
    judged = {number for number, status in statuses.items() if status.revoked}
    for event in vip_pass.events(start, "Transfer", "Revoked", "Reinstated"):
        if event.name != "Transfer":
            judged.add(PassId(event.arguments["passId"]))
        elif event.arguments["from"] == ZERO:
            if event.block not in times:
                times[event.block] = vip_pass.chain.block(event.block).timestamp
            statuses[PassId(event.arguments["tokenId"])] = PassStatus(State.HELD, False, times[event.block])
        else:
            number = PassId(event.arguments["tokenId"])
            statuses[number] = PassStatus(State.BURNED, False, statuses.get(number, NEVER).issued_at)
    for number in judged:
        statuses[number] = vip_pass.status_of(number)


def _origin(vip_pass: VIPPass) -> str:
    return f"{vip_pass.chain.id}-{vip_pass.address}"


def _table(statuses: Mapping[PassId, PassStatus]) -> pa.Table:
    keys = [split_pass_id(number) for number in statuses]
    columns = [
        [account for _, account in keys],
        [int(role) for role, _ in keys],
        [int(status.state) for status in statuses.values()],
        [status.revoked for status in statuses.values()],
        [status.issued_at for status in statuses.values()],
    ]
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


def _save(file: Path, passes: Passes, vip_pass: VIPPass) -> None:
    block = passes.block
    about = {"of": _origin(vip_pass), "number": str(block.number), "hash": block.hash.hex(), "timestamp": str(block.timestamp)}
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.draft")
    pq.write_table(_table(passes.statuses).replace_schema_metadata(about), draft)
    draft.replace(file)
    sync_folder(file.parent)


def _load(file: Path, vip_pass: VIPPass) -> Passes | None:
    """What the file knows, if it is of use."""
    try:
        table = pq.read_table(file)
        about = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        block = Block(int(about["number"]), bytes.fromhex(about["hash"]), Timestamp(int(about["timestamp"])))
        rows = table.select(SCHEMA.names).to_pylist()
    except (OSError, pa.ArrowException, KeyError, ValueError):
        return None
    is_ours = about["of"] == _origin(vip_pass) and block.number <= vip_pass.block.number
    if not is_ours or vip_pass.chain.block(block.number) != block:
        return None
    statuses = {
        pass_id(Role(row["role"]), Address(row["account"])): PassStatus(State(row["state"]), row["revoked"], Timestamp(row["issued_at"]))
        for row in rows
    }
    return Passes(block, statuses)
