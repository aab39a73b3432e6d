"""Online reads: the newest values of features."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from headwater._frames import DtypeBackend, to_pandas, to_polars
from headwater._manifest import enum_name
from headwater._types import TIMESTAMP, arrow_type, from_microseconds, from_value, to_value
from headwater.errors import InternalError, InvalidArgumentError
from headwater.v1 import online_pb2, value_pb2

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

MOST_ENTITIES = 1000
"""How many entities one call may ask for; `get_features` makes as many calls as it takes."""

_WITH_VALUE = frozenset(
    (
        value_pb2.VALUE_STATUS_PRESENT,
        value_pb2.VALUE_STATUS_DEFAULT,
        value_pb2.VALUE_STATUS_STALE,
        value_pb2.VALUE_STATUS_MASKED,
    )
)


class Features:
    """The newest values of features for some entities: a typed column for each feature, a row for each entity.

    Rows are in the order of the entities that were asked for, and columns in the order of the service or of
    the list of features. A value that is
    missing is NULL; its status says why.
    """

    def __init__(self, keys: pa.Table, responses: Sequence[online_pb2.GetFeaturesResponse]) -> None:
        self.responses = list(responses)
        """The answers of the server, one for each 1,000 entities."""
        first = responses[0]
        self.keys = keys
        """The join keys and inputs that were asked with, as they were given."""
        self.service = f"{first.service}@{first.service_version}" if first.service else ""
        """The service that was read, with its version; empty where features were listed."""
        self.read_ids = [r.read_id for r in responses]
        """One for each call; the server's audit log knows them."""
        self.position = first.position
        """The newest position in the publish log that the server knew of."""
        t = first.served_at
        self.served_at: datetime.datetime = from_microseconds(t.seconds * 1_000_000 + t.nanos // 1000)
        """When the values were read, in UTC. On-demand features are computed at this time."""
        self.names = [f.name for f in first.features]
        """The names of the features, in their order."""
        self.refs = [f"{f.view}@{f.view_version}.{f.feature}" for f in first.features]
        """Which feature each is: `VIEW@VERSION.FEATURE`."""
        self._values = [
            pa.chunked_array([_array(r.features[i].values, self.names[i]) for r in responses]) for i in range(len(self.names))
        ]
        statuses = value_pb2.ValueStatus.DESCRIPTOR
        self.statuses: dict[str, list[str]] = {
            name: [enum_name(statuses, s) for r in responses for s in _statuses(r.features[i].values)]
            for i, name in enumerate(self.names)
        }
        """For each feature, the status of each entity's value: `PRESENT`, `NULL`, `DEFAULT`, `NO_KEY`, `NO_ROW`, `EXPIRED`,
        `NOT_YET_KNOWN`, `STALE`, `MASKED`, `ERROR` or `UNAVAILABLE`."""

    @property
    def read_id(self) -> str:
        """That of the first call."""
        return self.read_ids[0]

    def __len__(self) -> int:
        return len(self._values[0]) if self._values else self.keys.num_rows

    def provenance(self) -> pa.Table:
        """Where values come from: a row for each entity and view, with the columns `entity` (from 0), `view`, `version`,
        `prefix` (of the join that read it, or empty), `event_time`, `available_at` and `run_seq`; the last three are NULL where
        the view has no row of the entity. Empty unless `get_features` was called with `provenance=True`."""
        rows = []
        offset = 0
        for r in self.responses:
            n = max((len(p.run_seqs) for p in r.provenance), default=0)
            for i in range(n):
                for p in r.provenance:
                    there = p.run_seqs[i] != 0
                    rows.append(
                        {
                            "entity": offset + i,
                            "view": p.view,
                            "version": p.view_version,
                            "prefix": p.prefix,
                            "event_time": p.event_times[i] if there else None,
                            "available_at": p.available_ats[i] if there else None,
                            "run_seq": p.run_seqs[i] if there else None,
                        }
                    )
            offset += n
        schema = pa.schema(
            {
                "entity": pa.int64(),
                "view": pa.string(),
                "version": pa.int64(),
                "prefix": pa.string(),
                "event_time": TIMESTAMP,
                "available_at": TIMESTAMP,
                "run_seq": pa.int64(),
            }
        )
        return pa.Table.from_pylist(rows, schema=schema)

    def to_arrow(self, *, statuses: bool = False, keys: bool = True) -> pa.Table:
        """The values as an Arrow table: the keys and inputs, then the features, every type exact.

        Args:
            statuses: A column `NAME__status` behind each feature.
            keys: Have the keys and inputs too.
        """
        columns: dict[str, Any] = {}
        if keys:
            columns.update(zip(self.keys.column_names, self.keys.columns, strict=True))
        for name, values in zip(self.names, self._values, strict=True):
            columns[name] = values
            if statuses:
                columns[f"{name}__status"] = pa.array(self.statuses[name], pa.string())
        return pa.table(columns)

    def to_pandas(
        self, *, statuses: bool = False, keys: bool = True, dtype_backend: DtypeBackend | None = None
    ) -> pd.DataFrame:
        """The values as a frame of pandas, of the types that `Dataset.to_pandas` gives.

        >>> found = client.get_features("delay_model_v1", [{"origin": "ORD", "destination": "LAX"}])
        >>> found.to_pandas(keys=False)[["airport_delays__departures", "route_delays__mean_delay"]]
           airport_delays__departures  route_delays__mean_delay
        0                           1                     -6.92
        """
        return to_pandas(self.to_arrow(statuses=statuses, keys=keys), dtype_backend)

    def to_polars(self, *, statuses: bool = False, keys: bool = True) -> pl.DataFrame:
        """The values as a frame of polars, every type exact."""
        return to_polars(self.to_arrow(statuses=statuses, keys=keys))

    def to_dicts(self, *, statuses: bool = False, keys: bool = True) -> list[dict[str, Any]]:
        """The values as a dict for each entity; missing ones are None.

        >>> found = client.get_features("delay_model_v1", [{"origin": "ORD", "destination": "LAX"}])
        >>> found.to_dicts(statuses=True)[0]["airport_delays__departures__status"]
        'PRESENT'
        """
        return self.to_arrow(statuses=statuses, keys=keys).to_pylist()  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return (
            f"<Features of {self.service or 'a list'}: {len(self)} entities, {len(self.names)} features, read {self.read_id}>"
        )

    def _repr_html_(self) -> str:
        frame: Any = self.to_pandas(statuses=True)
        return str(frame._repr_html_())


def _statuses(v: value_pb2.ValueVector) -> list[int]:
    """The status of each value: where all have one in common, the server sends it once."""
    if v.status or not v.status_of_all:
        return list(v.status)
    lists = (v.bools, v.int64s, v.float64s, v.strings, v.timestamps, v.decimals, v.bytes_values, v.lists)
    n = max(len(values) for values in lists)
    if v.vectors:
        n = len(v.vectors) // int(v.type_name.removeprefix("vector(").removesuffix(")"))
    return [v.status_of_all] * n


def _array(v: value_pb2.ValueVector, name: str) -> pa.Array:
    """A column of an answer."""
    kind = value_pb2.ValueType.Name(v.type).removeprefix("VALUE_TYPE_").lower()
    type_ = arrow_type(v.type_name or kind)
    if type_ is None:
        raise InternalError(
            f"feature {name}: found type {v.type_name or kind}, which this version of the client does not know; "
            "take a newer one"
        )
    there = [s in _WITH_VALUE for s in _statuses(v)]
    for i in v.nulls:
        there[i] = False
    n = len(there)
    types = pa.types
    values: Any
    if types.is_boolean(type_):
        values = v.bools
    elif types.is_int64(type_):
        values = v.int64s
    elif types.is_float64(type_):
        values = v.float64s
    elif types.is_string(type_):
        values = v.strings
    elif types.is_timestamp(type_):
        values = v.timestamps
    elif types.is_binary(type_):
        values = v.bytes_values
    elif types.is_decimal(type_):
        values = [decimal.Decimal(d) for d in v.decimals]
    elif types.is_fixed_size_list(type_):
        size = type_.list_size
        values = [v.vectors[i * size : (i + 1) * size] for i in range(len(v.vectors) // size)]
    else:
        values = [[from_value(e) for e in row.values] for row in v.lists]
    if len(values) != n:
        raise InternalError(f"feature {name}: found {len(values)} values, expected {n}, as many as its statuses")
    return pa.array([x if ok else None for x, ok in zip(values, there, strict=True)], type_)


class Handed:
    """What a caller hands in for each entity: columns of values by name."""

    def __init__(self, what: str, rows: Any, entities: int | None = None) -> None:
        self.what = what
        self.columns = _columns(what, rows, entities)
        lengths = {len(values) for values in self.columns.values()}
        if len(lengths) > 1:
            said = ", ".join(f"{name} {len(values)}" for name, values in self.columns.items())
            raise InvalidArgumentError(
                f"{what}: found columns of unequal lengths ({said}), expected a value for each entity in each"
            )
        self.length = lengths.pop() if lengths else None

    def messages(self, types: Mapping[str, pa.DataType | None]) -> dict[str, list[value_pb2.Value]]:
        """The columns as values for a request; a name without a type is sent as Python has it."""
        out = {}
        for name, values in self.columns.items():
            type_ = types.get(name)
            column = []
            for i, v in enumerate(values, 1):
                try:
                    column.append(to_value(v, type_))
                except ValueError as error:
                    raise InvalidArgumentError(
                        f"{self.what}: {name} of entity {i}: {error}", metadata={"column": name}
                    ) from None
            out[name] = column
        return out


def _columns(what: str, rows: Any, entities: int | None) -> dict[str, list[Any]]:
    if rows is None:
        return {}
    names = rows.schema.names if isinstance(rows, pa.Table | pa.RecordBatch) else getattr(rows, "columns", None)
    if names is not None and not isinstance(rows, Mapping):
        twice = [name for name in names if list(names).count(name) > 1]
        if twice:
            raise InvalidArgumentError(f"{what}: found column {twice[0]} twice, expected each name once; rename one of them")
    if isinstance(rows, Mapping):
        # A dict of columns, or of values for all entities alike.
        scalar = {name: not _is_column(v) for name, v in rows.items()}
        lengths = [len(v) for name, v in rows.items() if not scalar[name]]
        n = lengths[0] if lengths else entities if entities is not None else 1
        return {str(name): [v] * n if scalar[name] else _listed(v) for name, v in rows.items()}
    if isinstance(rows, pa.Table | pa.RecordBatch):
        return {name: rows.column(name).to_pylist() for name in rows.schema.names}
    module = type(rows).__module__.partition(".")[0]
    if module in ("pandas", "polars") and hasattr(rows, "columns"):
        return {str(name): _listed(rows[name]) for name in rows.columns}
    if hasattr(rows, "__arrow_c_stream__") and not hasattr(rows, "to_frame"):
        table = pa.table(rows)
        return {name: table.column(name).to_pylist() for name in table.column_names}
    if isinstance(rows, Iterable) and not isinstance(rows, str | bytes):
        listed = list(rows)
        if len(listed) == 1 and entities is not None:
            listed *= entities
        given: dict[str, None] = {}
        for i, row in enumerate(listed, 1):
            if not isinstance(row, Mapping):
                raise InvalidArgumentError(
                    f"{what}: entity {i}: found {type(row).__name__}, expected a dict of name to value, such as "
                    f"{{'origin': 'ORD'}}"
                )
            given.update(dict.fromkeys(row))
        return {str(name): [row.get(name) for row in listed] for name in given}
    raise InvalidArgumentError(
        f"{what}: found {type(rows).__name__}, expected a list of dicts, a dict of columns, a DataFrame or an Arrow table"
    )


def _listed(v: Any) -> list[Any]:
    if isinstance(v, pa.Array | pa.ChunkedArray):
        found: list[Any] = v.to_pylist()
        return found
    if type(v).__module__.partition(".")[0] == "pandas":
        # pandas has NaN where a value is missing, whatever the type.
        return [None if missing else x for x, missing in zip(v, v.isna(), strict=True)]
    return list(v)


def _is_column(v: Any) -> bool:
    """Whether a value of a dict is a value for each entity, and not one for all."""
    return isinstance(v, list | tuple | pa.Array | pa.ChunkedArray) or (
        hasattr(v, "__len__") and not isinstance(v, str | bytes | bytearray | memoryview | Mapping)
    )
