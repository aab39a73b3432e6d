"""Datasets: built or fetched, checked, and turned into whatever trains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from headwater._frames import DtypeBackend, to_pandas, to_polars
from headwater._manifest import Manifest
from headwater._received import Received

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

_GROUP_ROWS = 128 << 10
"""The most rows of a row group of a Parquet file."""

_GROUP_BYTES = 64 << 20
"""The most bytes of one, as they are in memory, unless one batch has more."""


class Dataset:
    """A training dataset that the server keeps and this process has: whole, and the bytes that its manifest speaks of.

    It has one row for each row of the spine, in the spine's order, less those that the request's rules left out. Its
    columns are the spine's, then one for each feature. It can be read any number of times, in any of the forms below.

    Small results are in memory. Beyond the client's `memory_limit` they are in a temporary file, which `batches` and
    `to_arrow` read where it lies; it is gone when nothing reads from it any more.
    """

    def __init__(self, manifest: Manifest, received: Received) -> None:
        self.manifest = manifest
        """What is kept of it: digests, versions, where each column comes from, how many values are missing and why."""
        self._received = received
        with self._reader() as reader:
            self.schema: pa.Schema = reader.schema
            """The Arrow schema; see docs/python.md for the types."""

    @property
    def id(self) -> str:
        """What `Client.fetch` takes: `ds_` and 26 characters."""
        return self.manifest.id

    @property
    def num_rows(self) -> int:
        """How many rows it has."""
        return self.manifest.rows

    def __len__(self) -> int:
        return self.num_rows

    @property
    def nbytes(self) -> int:
        """The size of the Arrow stream, in bytes."""
        return self._received.bytes

    @property
    def features(self) -> list[str]:
        """The names of the columns that are features, in their order; statuses are not among them.

        >>> train.features
        ['airport_delays__departures', 'airport_delays__mean_delay', 'airport_delays__late_share',
         'route_delays__mean_delay', 'route_delays__late_share']
        """
        return [c.name for c in self.manifest.message.columns if c.origin.startswith("feature:")]

    def _reader(self) -> pa.RecordBatchReader:
        return pa.ipc.open_stream(pa.BufferReader(self._received.buffer))

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows as Arrow record batches, one after the other: no more than one has to be in memory.

        >>> sum(batch.num_rows for batch in train.batches())
        4
        """
        with self._reader() as reader:
            yield from reader

    def to_arrow(self) -> pa.Table:
        """The rows as an Arrow table. Every type is exact; times are timestamp[us, tz=UTC].

        >>> train.to_arrow().column("route_delays__late_share").type
        DataType(double)
        """
        with self._reader() as reader:
            return reader.read_all()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The rows for whatever takes an Arrow stream: polars, DuckDB, pyarrow."""
        return self._reader().__arrow_c_stream__(requested_schema)

    def to_pandas(self, dtype_backend: DtypeBackend | None = None) -> pd.DataFrame:
        """The rows as a frame of pandas.

        Args:
            dtype_backend: As of `pandas.read_parquet`. By default floats are NumPy's, in which a missing value is NaN;
                integers and bools are NumPy's where none is missing, else pandas's `Int64` and `boolean`, so that none
                becomes a float; times are `datetime64[us, UTC]`, decimals `Decimal`. With `"pyarrow"` a missing
                float is told from a NaN.

        >>> train.to_pandas()[["origin", "delay", "airport_delays__departures"]]
          origin  delay  airport_delays__departures
        0    ORD     12                          36
        1    ATL     -4                          65
        2    SFO     31                           1
        3    XXX      0                        <NA>
        """
        return to_pandas(self.to_arrow(), dtype_backend)

    def to_polars(self) -> pl.DataFrame:
        """The rows as a frame of polars, every type exact.

        >>> train.to_polars().shape
        (4, 9)
        """
        return to_polars(self.to_arrow())

    def to_parquet(self, path: str, *, compression: str = "zstd") -> None:
        """Writes the rows to a Parquet file, in row groups of up to 131,072 rows or 64 MiB.

        Args:
            path: Of the file. One that is there is written over.
            compression: As of `pyarrow.parquet.ParquetWriter`.
        """
        import pyarrow.parquet as pq

        with pq.ParquetWriter(path, self.schema, compression=compression) as writer:
            group: list[pa.RecordBatch] = []
            rows = size = 0
            for batch in self.batches():
                if group and (rows + batch.num_rows > _GROUP_ROWS or size + batch.nbytes > _GROUP_BYTES):
                    writer.write_table(pa.Table.from_batches(group))
                    group, rows, size = [], 0, 0
                group.append(batch)
                rows, size = rows + batch.num_rows, size + batch.nbytes
            if group:
                writer.write_table(pa.Table.from_batches(group))

    def __repr__(self) -> str:
        return f"<Dataset {self.id} {self.manifest.ref}: {self.num_rows} rows, {len(self.schema)} columns>"

    def _repr_html_(self) -> str:
        return self.manifest._repr_html_()
