"""Where the scores' expressions run: DuckDB in this process, or Spark by way of Spark Connect, which Sail speaks too."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count

import ibis
import ibis.expr.types as ir
import pyarrow as pa


class EngineError(Exception):
    """The engine is not there, or not installed. The message says what to do."""


class Engine(ABC):
    """Tables in, tables out, and the same values whichever it is."""

    @abstractmethod
    def files(self, paths: Sequence[str]) -> ir.Table:
        """The rows of Parquet files. A cluster must see them under the same paths."""

    @abstractmethod
    def rows(self, table: pa.Table) -> ir.Table:
        """The rows of a table in memory."""

    @abstractmethod
    def kept(self, expression: ir.Table) -> ir.Table:
        """The same rows, computed once if they are used more than once."""

    @abstractmethod
    def result(self, expression: ir.Table) -> pa.Table:
        """Compute it."""


class DuckDB(Engine):
    """In this process, on all its cores."""

    def __init__(self) -> None:
        self._con = ibis.duckdb.connect()
        self._con.raw_sql("SET preserve_insertion_order = false; SET enable_progress_bar = false")

    def files(self, paths: Sequence[str]) -> ir.Table:
        return self._con.read_parquet(list(paths))

    def rows(self, table: pa.Table) -> ir.Table:
        return ibis.memtable(table)

    def kept(self, expression: ir.Table) -> ir.Table:
        return self._con.create_table(ibis.util.gen_name("kept"), expression, temp=True)

    def result(self, expression: ir.Table) -> pa.Table:
        return self._con.to_pyarrow(expression)

    def close(self) -> None:
        """Give its memory back."""
        self._con.disconnect()


class Spark(Engine):
    """A Spark Connect server: a cluster, or Sail."""

    def __init__(self, address: str) -> None:
        try:
            from pyspark.sql import SparkSession
        except ImportError:
            raise EngineError("Spark is not installed: pip install 'pictor-vip-pass[spark]'") from None
        self._session = SparkSession.builder.remote(address).create()
        self._con = ibis.pyspark.connect(self._session)
        self._names = (f"pictor_{number}" for number in count())

    def files(self, paths: Sequence[str]) -> ir.Table:
        return self._view(self._session.read.parquet(*paths))

    def rows(self, table: pa.Table) -> ir.Table:
        from pyspark.sql.pandas.types import from_arrow_schema

        return self._view(self._session.createDataFrame(table, from_arrow_schema(table.schema)))

    def kept(self, expression: ir.Table) -> ir.Table:
        return expression

    def result(self, expression: ir.Table) -> pa.Table:
        # Not by Ibis itself: it goes through pandas, where a missing number turns all of its column into floats.
        return self._session.sql(self._con.compile(expression)).toArrow().cast(expression.schema().to_pyarrow())

    def _view(self, frame: object) -> ir.Table:
        name = next(self._names)
        frame.createOrReplaceTempView(name)  # type: ignore[attr-defined]
        return self._con.table(name)

    def close(self) -> None:
        """End the session."""
        self._session.stop()


@contextmanager
def engine(name: str) -> Iterator[Engine]:
    """The engine called `name`: `duckdb`, `sail` (Sail in this process), or the address of a Spark Connect server (`sc://host:port`).

    Raises EngineError.
    """
    if name == "duckdb":
        duckdb = DuckDB()
        try:
            yield duckdb
        finally:
            duckdb.close()
    elif name == "sail":
        try:
            from pysail.spark import SparkConnectServer
        except ImportError:
            raise EngineError("Sail is not installed: pip install 'pictor-vip-pass[spark]'") from None
        server = SparkConnectServer("127.0.0.1", 0)
        server.start(background=True)
        host, port = server.listening_address
        try:
            with engine(f"sc://{host}:{port}") as spark:
                yield spark
        finally:
            server.stop()
    elif name.startswith("sc://"):
        spark = Spark(name)
        try:
            yield spark
        finally:
            spark.close()
    else:
        raise EngineError(f"no engine {name!r}; there are duckdb, sail, and sc://HOST:PORT (Spark Connect)")
