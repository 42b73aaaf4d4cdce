"""All passes as of one block: who holds one, since when, and who has burned or lost theirs.

Read from events alone, as few nodes still know the state of a block of some hours ago:

    Transfer from zero    issued, or given back: held from now on
    Transfer to zero      burned, or revoked: no longer held
    Revoked               cannot be issued
    Reinstated            can again; says since when the pass is held, after a Transfer from zero if it is

What is known at a block is kept in a file, so that each event is fetched once; the file can always be made anew.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pictor.chain.contracts import State, VIPPass
from pictor.chain.errors import ChainError
from pictor.chain.files import sync_folder
from pictor.chain.interfaces import Event
from pictor.chain.node import Block
from pictor.units import PassId, Role, Timestamp, split_pass_id

ZERO = "0x" + 40 * "0"
KEYS = ["account", "role"]
SCHEMA = pa.schema(
    [("account", pa.string()), ("role", pa.int8()), ("state", pa.int8()), ("revoked", pa.bool_()), ("issued_at", pa.int64())]
)


class PassesError(ChainError):
    """What the node tells of the passes does not add up."""


@dataclass(frozen=True)
class Passes:
    """Every pass that was ever issued or revoked, as of `block`.

    `table`: `account, role, state, revoked, issued_at`, in any order. Of a revoked pass the state is not to be relied on.
    """

    block: Block
    table: pa.Table

    def holders(self) -> pa.Table:
        """`account, role, issued_at` of the passes that are held, as scoring takes them."""
        return self.table.filter(_held(self.table)).select([*KEYS, "issued_at"])

    def of(self, members: pa.Table) -> pa.Table:
        """`role, account, state, revoked` of `members` (`role, account`), in any order; `State.NONE` of whoever never had one."""
        found = members.select(KEYS).cast(pa.schema([SCHEMA.field(name) for name in KEYS])).join(self.table, KEYS, join_type="left outer")
        columns = {
            "role": found["role"],
            "account": found["account"],
            "state": pc.fill_null(found["state"], int(State.NONE)),
            "revoked": pc.fill_null(found["revoked"], False),
        }
        return pa.table(columns)


def passes_at(vip_pass: VIPPass, block: Block, first_block: int, file: Path, *, is_final: bool) -> Passes:
    """The passes at `block`, which is not after the block that `vip_pass` is pinned to; `first_block`: where the contract was created.

    Goes on from what `file` knows, if that is of this contract and not of a later block or another history, and leaves the news there if
    `block` is final. Raises PassesError unless the passes held at the pinned block are as many as the contract says.
    """
    known = _load(file, vip_pass, block)
    start = known.block.number + 1 if known else first_block
    events = vip_pass.events(start, "Transfer", "Revoked", "Reinstated") if start <= vip_pass.block.number else []
    times = _times(vip_pass, events)
    before = known.table if known else SCHEMA.empty_table()
    then = _after(before, (event for event in events if event.block <= block.number), times)
    _check(_after(then, (event for event in events if event.block > block.number), times), vip_pass, file)
    passes = Passes(block, then)
    if is_final and not (known and known.block == block):
        keep(file, passes, vip_pass)
    return passes


def _held(table: pa.Table) -> pa.ChunkedArray:
    return pc.and_(pc.equal(table["state"], int(State.HELD)), pc.invert(table["revoked"]))


def _check(table: pa.Table, vip_pass: VIPPass, file: Path) -> None:
    """Raises PassesError unless as many passes are held as the contract says."""
    for role in Role:
        held = pc.sum(pc.and_(_held(table), pc.equal(table["role"], int(role)))).as_py() or 0
        if held != (members := vip_pass.members(role)):
            file.unlink(missing_ok=True)  # what it knows may be what is wrong: the next look begins anew
            raise PassesError(
                f"block {vip_pass.block.number}: the events lead to {held} passes of {role.name.lower()}s, the contract has {members}"
            )


def _times(vip_pass: VIPPass, events: Iterable[Event]) -> dict[int, Timestamp]:
    """When the blocks were in which passes were issued."""
    blocks = {event.block for event in events if event.name == "Transfer" and event.arguments["from"] == ZERO}
    return {number: vip_pass.chain.block(number).timestamp for number in blocks}


@dataclass(frozen=True)
class _Change:
    """What is new of a pass; None: as before."""

    state: State | None = None
    revoked: bool | None = None
    issued_at: int | None = None


def _after(table: pa.Table, events: Iterable[Event], times: Mapping[int, Timestamp]) -> pa.Table:
    """The passes after `events`."""
    changes: dict[PassId, _Change] = {}
    for event in events:
        number = PassId(event.arguments["tokenId" if event.name == "Transfer" else "passId"])
        change = changes.get(number, _Change())
        if event.name == "Revoked":
            change = replace(change, revoked=True)
        elif event.name == "Reinstated":
            change = replace(change, revoked=False, issued_at=event.arguments["issuedAt"])
        elif event.arguments["from"] == ZERO:
            change = _Change(State.HELD, False, times[event.block])
        else:
            change = replace(change, state=State.BURNED)
        changes[number] = change
    if not changes:
        return table
    keys = [split_pass_id(number) for number in changes]
    news = pa.table(
        {
            "account": pa.array([account for _, account in keys], pa.string()),
            "role": pa.array([int(role) for role, _ in keys], pa.int8()),
            "new_state": pa.array([change.state for change in changes.values()], pa.int8()),
            "new_revoked": pa.array([change.revoked for change in changes.values()], pa.bool_()),
            "new_issued_at": pa.array([change.issued_at for change in changes.values()], pa.int64()),
        }
    )
    joined = news.join(table, KEYS, join_type="left outer")
    never = {"state": int(State.NONE), "revoked": False, "issued_at": 0}
    changed = {name: pc.coalesce(joined[f"new_{name}"], joined[name], pa.scalar(none, joined[name].type)) for name, none in never.items()}
    rows = pa.table({**{name: joined[name] for name in KEYS}, **changed}).select(SCHEMA.names).cast(SCHEMA)
    return pa.concat_tables([table.join(news.select(KEYS), KEYS, join_type="left anti").select(SCHEMA.names).cast(SCHEMA), rows])


def _origin(vip_pass: VIPPass) -> str:
    return f"{vip_pass.chain.id}-{vip_pass.address}"


def keep(file: Path, passes: Passes, vip_pass: VIPPass) -> None:
    """Leaves what is known at a final block in `file`, for `passes_at` to go on from."""
    block = passes.block
    about = {"of": _origin(vip_pass), "number": str(block.number), "hash": block.hash.hex(), "timestamp": str(block.timestamp)}
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.draft")
    pq.write_table(passes.table.replace_schema_metadata(about), draft)
    draft.replace(file)
    sync_folder(file.parent)


def _load(file: Path, vip_pass: VIPPass, until: Block) -> Passes | None:
    """What the file knows, if it is of use."""
    try:
        table = pq.read_table(file)
        about = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        block = Block(int(about["number"]), bytes.fromhex(about["hash"]), Timestamp(int(about["timestamp"])))
        table = table.select(SCHEMA.names).cast(SCHEMA)
    except (OSError, KeyError, ValueError):  # Arrow's errors are among these
        return None
    if about["of"] != _origin(vip_pass) or block.number > until.number or vip_pass.chain.block(block.number) != block:
        return None
    return Passes(block, table)
