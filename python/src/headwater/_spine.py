"""Spines: whatever holds rows becomes Arrow record batches of the types that the server takes, without losing anything.

A spine is read once and batch by batch, so that one that comes out of a reader or a generator is never in memory whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headwater._types import TIMESTAMP, type_name
from headwater.errors import InvalidSpineError

_ROWS = 32 << 10
"""The most rows of a batch that is sent."""
_BYTES = 8 << 20
"""About the most bytes of one: the server takes up to 64 MiB."""
_PART = 1 << 20
"""The size of the messages that a stream is cut into, in bytes."""


class Spine:
    """Rows on their way to the server.

    Args:
        rows: See `Client.dataset`.
        types: The types that named columns must have. Other columns keep theirs, or get the one that holds it.
        wanted: The types that named columns are given where they hold their values; where not, the server says what it needs.
    """

    def __init__(
        self, rows: Any, types: Mapping[str, pa.DataType] | None = None, wanted: Mapping[str, pa.DataType] | None = None
    ) -> None:
        self.rows = 0
        """How many have been sent so far."""
        given, self._batches, self.total = _batches(rows)
        types = {**(types or {}), **{f.name: wanted[f.name] for f in given if wanted and _holds(f.type, wanted.get(f.name))}}
        self.schema = pa.schema([pa.field(f.name, _target(f, types.get(f.name))) for f in given])

    def parts(self) -> Iterator[bytes]:
        """The rows as an Arrow IPC stream, in parts of up to 1 MiB."""
        sink = _Sink()
        with pa.ipc.new_stream(sink, self.schema) as writer:
            for batch in self._batches:
                if batch.schema.names != self.schema.names:
                    raise InvalidSpineError(
                        f"spine: found a batch with columns {', '.join(batch.schema.names)} after row {self.rows}, expected "
                        f"those of the first: {', '.join(self.schema.names)}"
                    )
                for piece in _pieces(batch):
                    writer.write_batch(self._conform(piece))
                    self.rows += piece.num_rows
                    yield from sink.parts(whole=True)
        yield from sink.parts(whole=False)

    def _conform(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = []
        for field, array in zip(self.schema, batch.columns, strict=True):
            try:
                columns.append(_cast(array, field.type))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
                raise InvalidSpineError(
                    f"spine: rows {self.rows + 1} to {self.rows + batch.num_rows}: column {field.name}: found a value of "
                    f"type {array.type} that {type_name(field.type)} does not hold exactly ({error}); "
                    f"{_remedy(array.type, field.type)}"
                ) from error
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


class _Sink:
    """What a stream is written to: it holds the bytes until they are taken."""

    closed = False

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._held += view
        return len(view)

    def parts(self, whole: bool) -> Iterator[bytes]:
        at = 0
        while len(self._held) - at >= _PART or (not whole and at < len(self._held)):
            yield bytes(memoryview(self._held)[at : at + _PART])
            at += _PART
        del self._held[:at]

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    if batch.num_rows <= 1 or (batch.num_rows <= _ROWS and batch.get_total_buffer_size() <= _BYTES):
        yield batch
        return
    rows = min(_ROWS, max(1, int(batch.num_rows * _BYTES / max(batch.nbytes, 1))))
    for at in range(0, batch.num_rows, rows):
        yield batch.slice(at, rows)


def _batches(rows: Any) -> tuple[pa.Schema, Iterable[pa.RecordBatch], int | None]:
    """The schema of rows, the rows, and how many there are where that is known."""
    with _made_arrow():
        opened = _open(rows)
    if opened is not None:
        return opened
    if isinstance(rows, Iterable) and not isinstance(rows, str | bytes):
        # What an iterator of the caller's fails with is the caller's.
        return _open_iterable(rows)
    raise InvalidSpineError(
        f"spine: found {type(rows).__name__}, expected a DataFrame of pandas or polars, an Arrow table, record batches or a "
        "reader of them, a list of dicts, or a dict of columns"
    )


@contextmanager
def _made_arrow(column: str = "") -> Iterator[None]:
    """Says of values that Arrow cannot hold that the spine has them."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, UnicodeError) as error:
        where = f"column {column}: " if column else "cannot be made Arrow: "
        raise InvalidSpineError(f"spine: {where}{error}; give each column values of one type, and text of Unicode") from error


def _open(rows: Any) -> tuple[pa.Schema, Iterable[pa.RecordBatch], int | None] | None:
    """Rows that are there; None for those that an iterator has yet to give."""
    if isinstance(rows, pa.Table):
        return rows.schema, rows.to_batches(max_chunksize=_ROWS), rows.num_rows
    if isinstance(rows, pa.RecordBatch):
        return rows.schema, [rows], rows.num_rows
    if isinstance(rows, pa.RecordBatchReader):
        return rows.schema, rows, None
    module = type(rows).__module__.partition(".")[0]
    if module == "pandas" and hasattr(rows, "columns"):
        return _open_pandas(rows)
    if hasattr(rows, "__arrow_c_stream__"):
        reader = pa.RecordBatchReader.from_stream(rows)
        total = len(rows) if hasattr(rows, "__len__") else None
        return reader.schema, reader, total
    if hasattr(rows, "collect") and module == "polars":
        raise InvalidSpineError("spine: found a polars LazyFrame, expected rows; collect it: spine=frame.collect()")
    if isinstance(rows, Mapping):
        for name, values in rows.items():
            if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__iter__"):
                raise InvalidSpineError(
                    f"spine: column {name}: found {type(values).__name__}, expected a list or an array with a value for each "
                    "row; a single row is a list of one dict"
                )
        table = pa.table({str(name): values for name, values in rows.items()})
        return table.schema, table.to_batches(max_chunksize=_ROWS), table.num_rows
    return None


def _open_pandas(frame: Any) -> tuple[pa.Schema, Iterable[pa.RecordBatch], int]:
    names = [str(name) for name in frame.columns]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidSpineError(f"spine: found column {twice} twice, expected each name once; rename one of them")
    # Names need not be text to pandas.
    frame = frame.set_axis(names, axis=1)
    schema = pa.Schema.from_pandas(frame, preserve_index=False).remove_metadata()

    def slices() -> Iterator[pa.RecordBatch]:
        for at in range(0, len(frame), _ROWS):
            with _made_arrow():
                table = pa.Table.from_pandas(frame.iloc[at : at + _ROWS], schema=schema, preserve_index=False)
            yield from table.to_batches()

    return schema, slices(), len(frame)


def _open_iterable(rows: Iterable[Any]) -> tuple[pa.Schema, Iterable[pa.RecordBatch], int | None]:
    iterator = iter(rows)
    first = next(iterator, None)
    if first is None:
        raise InvalidSpineError(
            "spine: found no rows and no columns; give an empty spine as a table or a DataFrame, which have columns"
        )
    if isinstance(first, Mapping):
        return _open_dicts(rows if isinstance(rows, Sequence) else [first, *iterator])
    if not isinstance(first, pa.RecordBatch | pa.Table):
        raise InvalidSpineError(f"spine: found an element of type {type(first).__name__}, expected record batches or dicts")

    def batches() -> Iterator[pa.RecordBatch]:
        yield from first.to_batches() if isinstance(first, pa.Table) else [first]
        for batch in iterator:
            if isinstance(batch, pa.Table):
                yield from batch.to_batches()
            elif isinstance(batch, pa.RecordBatch):
                yield batch
            else:
                raise InvalidSpineError(
                    f"spine: found an element of type {type(batch).__name__} after record batches, expected one more"
                )

    return first.schema, batches(), None


def _open_dicts(rows: Sequence[Mapping[str, Any]]) -> tuple[pa.Schema, Iterable[pa.RecordBatch], int]:
    names: dict[str, None] = {}
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise InvalidSpineError(f"spine: row {number}: found {type(row).__name__}, expected a dict of column to value")
        names.update(dict.fromkeys(row))
    arrays = []
    for name in names:
        with _made_arrow(str(name)):
            arrays.append(pa.array([row.get(name) for row in rows]))
    with _made_arrow():
        table = pa.Table.from_arrays(arrays, names=[str(name) for name in names])
    return table.schema, table.to_batches(max_chunksize=_ROWS), len(rows)


def _target(field: pa.Field, wanted: pa.DataType | None) -> pa.DataType:
    """The type that a column is sent as."""
    natural = _natural(field.type)
    if wanted is not None and (natural is None or not _holds(field.type, wanted)):
        raise InvalidSpineError(
            f"spine: column {field.name}: found type {field.type}, expected {type_name(wanted)}; {_remedy(field.type, wanted)}",
            metadata={"column": field.name},
        )
    if natural is None:
        raise InvalidSpineError(
            f"spine: column {field.name}: found type {field.type}, expected a bool, an integer, a floating point number, a "
            "decimal, text, binary, a date, a timestamp or a list of these; convert the column or take it out",
            metadata={"column": field.name},
        )
    return wanted if wanted is not None else natural


def _natural(t: pa.DataType) -> pa.DataType | None:
    """The type of Headwater's that holds a column which nothing is asked of; None where there is none."""
    types = pa.types
    if types.is_dictionary(t):
        return _natural(t.value_type)
    if types.is_boolean(t):
        return pa.bool_()
    if types.is_integer(t):
        return pa.int64()
    if types.is_floating(t):
        return pa.float64()
    if types.is_string(t) or types.is_large_string(t) or types.is_string_view(t) or types.is_null(t):
        return pa.string()
    if types.is_timestamp(t) or types.is_date(t):
        return TIMESTAMP
    if types.is_decimal(t):
        return pa.decimal128(t.precision, t.scale) if t.precision <= 38 and 0 <= t.scale <= t.precision else None
    if types.is_binary(t) or types.is_large_binary(t) or types.is_binary_view(t) or types.is_fixed_size_binary(t):
        return pa.binary()
    if types.is_fixed_size_list(t) and types.is_float32(t.value_type):
        return t
    if (
        types.is_list(t)
        or types.is_large_list(t)
        or types.is_fixed_size_list(t)
        or types.is_list_view(t)
        or types.is_large_list_view(t)
    ):
        element = _natural(t.value_type)
        return None if element is None or types.is_list(element) or types.is_fixed_size_list(element) else pa.list_(element)
    return None


def _holds(t: pa.DataType, wanted: pa.DataType | None) -> bool:
    """Whether a column may be sent as another type, where each value is one of it."""
    types = pa.types
    natural = _natural(t)
    if natural is None or wanted is None:
        return False
    if types.is_null(t) or natural == wanted:
        return True
    if types.is_int64(natural):
        return bool(types.is_float64(wanted) or types.is_decimal(wanted))
    if types.is_float64(natural):
        # What pandas makes of integers with a missing one.
        return bool(types.is_int64(wanted))
    if types.is_decimal(natural):
        return bool(types.is_decimal(wanted))
    if types.is_list(natural) and (types.is_list(wanted) or types.is_fixed_size_list(wanted)):
        return _holds(natural.value_type, wanted.value_type) or (
            types.is_floating(natural.value_type) and types.is_float32(wanted.value_type)
        )
    return False


def _cast(array: pa.Array, t: pa.DataType) -> pa.Array:
    if array.type == t:
        return array
    types = pa.types
    if types.is_dictionary(array.type):
        return _cast(array.dictionary, t).take(array.indices)
    if types.is_list_view(array.type) or types.is_large_list_view(array.type):
        # Arrow's own cast of views leaves lists without their last offset.
        return _cast(pa.array(array.to_pylist(), pa.list_(array.type.value_type)), t)
    if types.is_timestamp(t) and not types.is_null(array.type):
        if types.is_date(array.type):
            array = array.cast(pa.timestamp("us" if types.is_date32(array.type) else "ms"))
        return array.cast(pa.timestamp("us", tz=array.type.tz), safe=True).cast(t)
    if types.is_float16(array.type):
        array = array.cast(pa.float32())
    if types.is_fixed_size_list(t) and not types.is_float32(array.type.value_type):
        exact = array.cast(pa.list_(pa.float32(), t.list_size), safe=True)
        if not exact.flatten().cast(pa.float64()).equals(array.cast(pa.list_(pa.float64(), t.list_size)).flatten()):
            raise pa.ArrowInvalid("a float of 32 bits does not hold each number exactly")
        return exact
    if types.is_int64(t) and types.is_floating(array.type):
        # pandas has NaN where an integer is missing.
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
    if types.is_decimal(t) and types.is_integer(array.type):
        return array.cast(pa.decimal128(38, t.scale)).cast(t)
    return array.cast(t, safe=True)


def _remedy(found: pa.DataType, wanted: pa.DataType) -> str:
    if pa.types.is_timestamp(wanted) and pa.types.is_timestamp(found):
        return "times are in microseconds: round them, in pandas by .dt.floor('us')"
    if pa.types.is_timestamp(wanted):
        return "convert the column, in pandas by pandas.to_datetime(column, utc=True)"
    return "convert the column, or take it out"
