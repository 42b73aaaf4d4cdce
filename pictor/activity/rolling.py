"""One step of the rollups: what is counted already and what is new are laid out for `counting`, and its counts are put away."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from pictor.activity import counting
from pictor.activity.ledger import Entry, Ledger
from pictor.activity.moves import Group
from pictor.activity.rollup_files import Index, RollupFiles, quoted
from pictor.units import DAY, HOUR, MINUTE, TIME_LIMIT, Address

READ = ("recharges", "spends", "frames", "gpus", "links")  # as rows; heartbeats as masks
_FULL = (1 << 60) - 1  # the mask of an hour online
_LAST_DAY = 1 << 30
_MOST_SPANS = 50


def _empty(**columns: str) -> str:
    """A query without rows."""
    return f"SELECT {', '.join(f'NULL::{kind} AS {name}' for name, kind in columns.items())} WHERE false"


_TAGGED = {"moved": "INTEGER", "account": "INTEGER", "day": "INTEGER", "batch": "BIGINT"}
_EMPTY = {  # what a series without a file holds
    "accounts": _empty(id="INTEGER", account="VARCHAR"),
    "minutes": _empty(account="INTEGER", hour="INTEGER", batch="BIGINT", mask="BIGINT"),
    "gpus": _empty(account="INTEGER", **{'"at"': "BIGINT"}, ref="VARCHAR", hashpower="BIGINT", vram_mib="BIGINT", batch="BIGINT"),
    "account_days": _empty(**_TAGGED, **dict.fromkeys(counting.SUMS, "BIGINT")),
    "worker_days": _empty(
        **_TAGGED, hashpower="INTEGER", vram_mib="INTEGER", **dict.fromkeys(("minutes", '"first"', '"last"', "online_days"), "SMALLINT")
    ),
}


class Recharges(Protocol):
    """The on-chain recharges that this party has read."""

    def chains(self) -> Sequence[int]:
        """The chain ids."""

    def head(self, chain: int) -> int:
        """The last block that is read."""

    def table(self, chain: int, first: int, last: int) -> pa.Table:
        """The recharges of the blocks `first` to `last`, both included: the ledger's columns and `block`."""


class Step:
    """A change to the rollups in the making: a connection with the relations that `counting` names, and the index as it will be."""

    def __init__(self, ledger: Ledger, files: RollupFiles, index: Index) -> None:
        self.ledger = ledger
        self.files = files
        self.index = index
        self.con = counting.connect()
        for table in READ:
            counting.read_log(self.con, table, ())

    def take_in(self, entries: Sequence[Entry]) -> Index:
        """The index with the batches of `entries`, which follow each other, added."""
        for table in READ:
            self._read(table, _of(table, entries))
        counting.hear(self.con, self._batches(_of("heartbeats", entries)))
        counting.add_up(self.con)
        self._number_names(
            "SELECT worker FROM workers UNION SELECT account FROM said UNION SELECT worker FROM gpus"
            ' UNION SELECT "from" FROM links UNION SELECT "to" FROM links'
        )
        counting.number(self.con)
        self.members(numbered(self.index))
        counting.count_accounts(self.con)
        self._stored_minutes()
        counting.count_minutes(self.con)
        self._known_gpus("FROM fresh_gpus")
        self._stored_days()
        counting.place_minutes(self.con, self.index.position)
        self._add("minutes", "FROM fresh_minutes")
        self._add("worker_days", "FROM worker_days")
        self._add("account_days", "FROM account_days")
        self._add("gpus", "FROM fresh_gpus")
        self._add("links", 'SELECT "from" AS origin, "to" AS target, "at", batch, row FROM links')
        return replace(self.index, position=entries[-1].number, hash=entries[-1].head)

    def take_in_chain(self, recharges: Recharges, chain: int, last: int) -> Index:
        """The index with the recharges of a chain's blocks up to `last` added."""
        self._read_chain(recharges.table(chain, self.index.blocks.get(str(chain), -1) + 1, last))
        counting.hear(self.con)
        counting.add_up(self.con)
        self._number_names("SELECT account FROM said")
        counting.number(self.con)
        self.members(numbered(self.index))
        counting.count_accounts(self.con)
        self._add(f"account_days.{chain}", "FROM account_days")
        return replace(self.index, blocks=self.index.blocks | {str(chain): last})

    def unite(self, groups: Iterable[Group]) -> Index:
        """The index with `groups`, which it does not know yet, counted as one account each, as far as the rollups are."""
        known = len(self.index.groups)
        self.index = replace(self.index, groups=self.index.groups + tuple((group.root, group.moved) for group in groups))
        self.members({number: group for number, group in numbered(self.index).items() if number > known})
        self._read("frames", _of("frames", self.ledger.entries(0, self.index.position)))
        self.con.execute(f"""
            CREATE OR REPLACE TEMP TABLE fresh_minutes AS FROM ({self.stored("minutes")}) WHERE account IN (SELECT id FROM members);
            CREATE OR REPLACE TEMP VIEW old_minutes AS {_EMPTY["minutes"]};
            CREATE OR REPLACE TEMP VIEW stored_days AS {_EMPTY["worker_days"]};
            CREATE OR REPLACE TEMP VIEW fresh_gpus AS {_EMPTY["gpus"]};
        """)
        counting.count_minutes(self.con, each=False)
        self._known_gpus()
        counting.place_minutes(self.con, 0)
        self._add("worker_days", "FROM worker_days")
        for series in sorted({file.series for file in self.index.files if file.series.startswith("account_days")}):
            if series != "account_days":
                self._read("frames", ())  # on a chain there are none
            each = f"SELECT * EXCLUDE (moved) FROM ({self.stored(series)}) WHERE moved = 0"
            self.con.execute(f"CREATE OR REPLACE TEMP VIEW fresh_sums AS {each}")
            counting.count_accounts(self.con, each=False)
            self._add(series, "FROM account_days")
        return self.index

    def unfinished(
        self,
        end: int,
        window_start: int,
        position: int,
        blocks: Mapping[int, int],
        recharges: Recharges | None,
        active: Mapping[int, Group],
    ) -> tuple[pa.Table, pa.Table, pa.Table]:
        """What there is, at a position and these blocks, in the unfinished day that `end` cuts: account days, worker days; and the worker
        days of the window's unfinished days, the first and the last."""
        start = end - end % DAY
        self.members(active)
        for table in ("recharges", "spends", "frames"):
            recent = self.ledger.recent(table, start, position)
            counting.read_log(self.con, table, self._batches(recent), start, end)
        counting.hear(self.con)
        counting.add_up(self.con)
        for chain, block in blocks.items() if recharges else ():
            assert recharges is not None
            of_the_day = f"SELECT min(batch) FROM ({self.stored(f'account_days.{chain}', [(start // DAY, _LAST_DAY)])})"
            if (first := self._values(of_the_day)[0]) is None or first > block:
                continue
            self._read_chain(recharges.table(chain, first, block), start, end)
            self.con.execute("CREATE OR REPLACE TEMP TABLE ledger_said AS FROM said")
            counting.add_up(self.con)
            self.con.execute("INSERT INTO said FROM ledger_said")
        self._number_names("SELECT account FROM said", newcomers=False)
        counting.number(self.con)
        counting.count_accounts(self.con)
        head = (window_start, window_start + DAY - window_start % DAY)
        self.con.execute(f"""
            CREATE OR REPLACE TEMP TABLE fresh_minutes AS
            SELECT account, hour, 1::BIGINT AS batch, bit_or(mask & CASE hour
                    WHEN {window_start // HOUR} THEN {_FULL & ~((1 << window_start % HOUR // MINUTE) - 1)}
                    WHEN {end // HOUR} THEN {(1 << end % HOUR // MINUTE) - 1} ELSE {_FULL} END) AS mask
            FROM ({self.stored("minutes", [(head[0] // HOUR, head[1] // HOUR - 1), (start // HOUR, end // HOUR)])})
            WHERE batch <= {position} GROUP BY account, hour;
            DELETE FROM fresh_minutes WHERE mask = 0;
            CREATE OR REPLACE TEMP VIEW old_minutes AS {_EMPTY["minutes"]};
            CREATE OR REPLACE TEMP VIEW stored_days AS {_EMPTY["worker_days"]};
        """)
        counting.count_minutes(self.con)
        self._known_gpus()
        self.con.execute(f'DELETE FROM known_gpus WHERE batch > {position} OR "at" >= {end}')
        self.con.execute("UPDATE known_gpus SET batch = 1")
        counting.place_minutes(self.con, 0)
        of_the_day = f"WHERE day = {start // DAY}"
        queries = (f"FROM account_days {of_the_day}", f"FROM worker_days {of_the_day}", "FROM worker_days")
        account_days, worker_days, window_days = (self.con.sql(query).to_arrow_table() for query in queries)
        return account_days, worker_days, window_days

    def number(self, names: Iterable[str]) -> list[int]:
        """The numbers of those of the accounts `names` that have one."""
        told = pa.table({"account": pa.array(names, pa.string())})
        self.con.register("told", told)
        query = f"SELECT id FROM ({self.stored('accounts')}) SEMI JOIN told USING (account) ORDER BY id"
        return [row[0] for row in self.con.execute(query).fetchall()]

    def members(self, active: Mapping[int, Group]) -> None:
        """Lay out `members`, of these groups by their numbers."""
        rows = [(number, group.root, member) for number, group in active.items() for member in group.members]
        told = pa.table([pa.array(column) for column in zip(*rows, strict=True)] or [[], [], []], ["moved", "root", "account"])
        self.con.register("told", told)
        self.con.execute(f"""
            CREATE OR REPLACE TEMP TABLE members AS
            WITH named AS (SELECT id, account FROM ({self.stored("accounts")}) SEMI JOIN
                (SELECT account::VARCHAR AS account FROM told) USING (account))
            SELECT told.moved::INTEGER AS moved, r.id AS root, m.id AS id, m.account
            FROM told JOIN named r ON r.account = told.root::VARCHAR JOIN named m ON m.account = told.account::VARCHAR
        """)

    def stored(self, series: str, spans: Sequence[tuple[int, int]] | None = None) -> str:
        """A query for what is stored of a series; with `spans`, of these hours or days (bounds included)."""
        files = self.index.series(series)
        if spans is not None:
            files = [file for file in files if any(low <= file.last_time and high >= file.first_time for low, high in spans)]
        if not files:
            return _EMPTY[series.partition(".")[0]]
        query = f"FROM read_parquet({quoted(self.files.paths(files))})"
        if spans is None:
            return query
        column = "hour" if series == "minutes" else "day"
        return f"{query} WHERE {' OR '.join(f'{column} BETWEEN {low} AND {high}' for low, high in spans)}"

    def _read(self, table: str, entries: Sequence[Entry]) -> None:
        counting.read_log(self.con, table, self._batches(entries))

    def _batches(self, entries: Sequence[Entry]) -> list[tuple[int, Path]]:
        return [(entry.number, self.ledger.checked(entry)) for entry in entries if entry.rows]

    def _read_chain(self, rows: pa.Table, start: int = 0, end: int = TIME_LIMIT) -> None:
        """Make `recharges` those of `rows` in `[start, end)`, tagged with their blocks, and the other tables empty."""
        for table in READ:
            self._read(table, ())
        self.con.register("chain_rows", rows)
        self.con.execute(f"""
            CREATE OR REPLACE TEMP VIEW recharges AS
            SELECT block AS batch, account, amount, kind, "at" FROM chain_rows WHERE "at" >= {start} AND "at" < {end}
        """)

    def _number_names(self, names: str, newcomers: bool = True) -> None:
        """Lay out `ids` of the accounts that the query `names` yields; newcomers get the next numbers."""
        count = sum(file.rows for file in self.index.series("accounts"))
        self.con.execute(f"""
            CREATE OR REPLACE TEMP TABLE names AS SELECT DISTINCT account FROM ({names}) AS named(account);
            CREATE OR REPLACE TEMP TABLE ids AS FROM ({self.stored("accounts")}) SEMI JOIN names USING (account);
            CREATE OR REPLACE TEMP TABLE newcomers AS
                SELECT ({count} + row_number() OVER (ORDER BY account))::INTEGER AS id, account FROM names ANTI JOIN ids USING (account);
        """)
        if newcomers:
            self.con.execute("INSERT INTO ids FROM newcomers")
            self._add("accounts", "FROM newcomers")

    def _stored_minutes(self) -> None:
        """Lay out `old_minutes`: the stored masks of the hours that `fresh_minutes` touches."""
        hours = self._values("SELECT DISTINCT hour FROM fresh_minutes ORDER BY hour")
        self.con.execute(f"CREATE OR REPLACE TEMP VIEW old_minutes AS {self.stored('minutes', _spans(hours))}")

    def _stored_days(self) -> None:
        """Lay out `stored_days`: the stored days that `online` touches, and those from the first of `fresh_gpus` on."""
        spans = _spans(self._values("SELECT DISTINCT day FROM online ORDER BY day"))
        if (first := self._values('SELECT min("at") // 86400 FROM fresh_gpus')[0]) is not None:
            spans = [(low, high) for low, high in spans if low < first] + [(first, _LAST_DAY)]
        self.con.execute(f"CREATE OR REPLACE TEMP VIEW stored_days AS {self.stored('worker_days', spans)}")

    def _known_gpus(self, fresh: str = "") -> None:
        """Lay out `known_gpus`: those that are stored, and `fresh` ones, of the workers in question."""
        both = f"({self.stored('gpus')})" + (f" UNION ALL ({fresh})" if fresh else "")
        self.con.execute(f"""
            CREATE OR REPLACE TEMP TABLE known_gpus AS FROM ({both}) SEMI JOIN (
                SELECT account FROM fresh_minutes UNION SELECT account FROM fresh_gpus UNION SELECT id FROM members
            ) USING (account)
        """)

    def _values(self, query: str) -> list[int]:
        return [row[0] for row in self.con.execute(query).fetchall()]

    def _add(self, series: str, rows: str) -> None:
        self.index = self.files.add(self.con, self.index, series, rows)


def _of(table: str, entries: Iterable[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.table == table]


def numbered(index: Index) -> dict[int, Group]:
    """The groups that the rollups know, by number."""
    return {number: Group(Address(root), tuple(map(Address, moved))) for number, (root, moved) in enumerate(index.groups, start=1)}


def _spans(values: Sequence[int]) -> list[tuple[int, int]]:
    """Spans (bounds included) that cover sorted `values`, neighbours joined, so that a late row costs a look at its own time only."""
    spans: list[tuple[int, int]] = []
    for value in values:
        if spans and value - spans[-1][1] <= 2:
            spans[-1] = (spans[-1][0], value)
        else:
            spans.append((value, value))
    return spans if len(spans) <= _MOST_SPANS else [(spans[0][0], spans[-1][1])]
