"""What is kept of a dataset beside its rows."""

from __future__ import annotations

import datetime
import html
import json
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp

from headwater._types import from_microseconds, from_value
from headwater.v1 import dataset_pb2, value_pb2


def plain(message: Any) -> Any:
    """A message as dicts, lists and values of Python: times as datetimes in UTC, enums by their short names."""
    if isinstance(message, Timestamp):
        return from_microseconds(message.seconds * 1_000_000 + message.nanos // 1000)
    if isinstance(message, value_pb2.Value):
        return from_value(message)
    out: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            inner = field.message_type.fields_by_name["value"]
            out[field.name] = {k: _plain(inner, v) for k, v in sorted(getattr(message, field.name).items())}
        elif field.is_repeated:
            out[field.name] = [_plain(field, v) for v in getattr(message, field.name)]
        elif not field.has_presence or message.HasField(field.name):
            out[field.name] = _plain(field, getattr(message, field.name))
        elif field.containing_oneof is None:
            out[field.name] = None
    return out


def _plain(field: FieldDescriptor, v: Any) -> Any:
    if field.message_type is not None:
        return plain(v)
    if field.enum_type is not None:
        return enum_name(field.enum_type, v)
    return v


def enum_name(enum: Any, number: int) -> str:
    """The name of a value of an enum without the enum's own: `RELEASED` of `DATASET_STATE_RELEASED`."""
    if number not in enum.values_by_number:
        return str(number)
    first = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return str(enum.values_by_number[number].name.removeprefix(first))


@dataclass(frozen=True)
class Column:
    """A column of a dataset."""

    name: str
    """Its name in the result."""
    type: str
    """Its type as definitions write it, such as `decimal(12, 2)`."""
    origin: str
    """Where it comes from: `spine`, `feature:VIEW@VERSION.NAME`, or `status:VIEW@VERSION.NAME`."""
    nulls: int
    """In how many rows its value is missing."""
    statuses: dict[str, int]
    """Of a feature, in how many rows its value has which status: `{"PRESENT": 90, "NO_ROW": 10}`."""
    min: Any
    """The least value; None where there is none, or the server told none."""
    max: Any
    """The greatest value."""
    mean: float | None
    """The mean of numbers, in the column's own unit."""
    nans: int
    """How many values are NaN."""
    distinct: int
    """About how many different values there are."""


class Manifest:
    """What is kept of a dataset beside its rows: enough to have it again.

    `message` is all of it, as proto/headwater/v1/dataset.proto explains it; the attributes are what is mostly asked for.
    """

    def __init__(self, message: dataset_pb2.Manifest) -> None:
        self.message = message
        """The manifest as the server sends it."""

    @property
    def id(self) -> str:
        """`ds_` and 26 characters."""
        return self.message.id

    @property
    def name(self) -> str:
        """The dataset's name."""
        return self.message.name

    @property
    def version(self) -> int:
        """Its number among the datasets of its name, from 1."""
        return self.message.version

    @property
    def ref(self) -> str:
        """`NAME@VERSION`, which `Client.fetch` takes too."""
        return f"{self.name}@{self.version}"

    @property
    def state(self) -> str:
        """`BUILT`, `RELEASED` (it may be fetched) or `DELETED` (only the manifest is left)."""
        return enum_name(dataset_pb2.DatasetState.DESCRIPTOR, self.message.state)

    @property
    def service(self) -> str:
        """`NAME@VERSION` of the service whose features it has; empty for one by feature references."""
        return f"{self.message.service}@{self.message.service_version}" if self.message.service else ""

    @property
    def features(self) -> list[str]:
        """Of a dataset by feature references, those that were asked for, with versions."""
        return list(self.message.features)

    @property
    def views(self) -> dict[str, int]:
        """`VIEW@VERSION` of each view that was read, and the sequence of the newest run that it was read at."""
        return {f"{v.view}@{v.version}": v.seq for v in self.message.views}

    @property
    def position(self) -> int:
        """The position in the publish log that it was built as of. `as_of="pos:N"` builds another as of the same."""
        return self.message.position

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return self.message.rows

    @property
    def left_out(self) -> int:
        """How many rows of the spine were left out by the rules of the request."""
        return sum(rule.rows for rule in self.message.left_out)

    @property
    def columns(self) -> list[Column]:
        """The columns, in their order: the spine's, then the features."""
        statuses = value_pb2.ValueStatus.DESCRIPTOR
        return [
            Column(
                name=c.name,
                type=c.type_name or enum_name(value_pb2.ValueType.DESCRIPTOR, c.type).lower(),
                origin=c.origin,
                nulls=c.nulls,
                statuses={enum_name(statuses, s.status): s.rows for s in c.statuses},
                min=from_value(c.summary.min),
                max=from_value(c.summary.max),
                mean=c.summary.mean if c.summary.HasField("mean") else None,
                nans=c.summary.nans,
                distinct=c.summary.distinct,
            )
            for c in self.message.columns
        ]

    @property
    def spine_digest(self) -> str:
        """SHA-256 over the canonical encoding of the spine, hex."""
        return self.message.spine_digest

    @property
    def content_digest(self) -> str:
        """SHA-256 over the canonical encoding of the result, hex: equal datasets have equal ones."""
        return self.message.content_digest

    @property
    def may_leak(self) -> bool:
        """Values may come from the future, since the build was asked not to look at when they became known."""
        return self.message.may_leak

    @property
    def principal(self) -> str:
        """Who built it."""
        return self.message.principal

    @property
    def purpose(self) -> str:
        """What for."""
        return self.message.purpose

    @property
    def use(self) -> str:
        """What its builder said that it is used for: `training` or `export`."""
        return self.message.use or "training"

    @property
    def created_at(self) -> datetime.datetime:
        """When, in UTC."""
        t = self.message.created_at
        return from_microseconds(t.seconds * 1_000_000 + t.nanos // 1000)

    def to_dict(self) -> dict[str, Any]:
        """All of the message as dicts, lists and values of Python; times are datetimes in UTC."""
        found = plain(self.message)
        assert isinstance(found, dict)
        return found

    def to_json(self, indent: int | None = 2) -> str:
        """`to_dict` as JSON; times as RFC 3339, decimals as text."""

        def text(v: Any) -> str:
            return (
                v.isoformat().replace("+00:00", "Z")
                if isinstance(v, datetime.datetime)
                else v.hex()
                if isinstance(v, bytes)
                else str(v)
            )

        return json.dumps(self.to_dict(), indent=indent, default=text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Manifest) and self.message == other.message

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        of = self.service or f"{len(self.features)} references"
        size = f"{self.rows} rows, {len(self.message.columns)} columns"
        return f"<Manifest {self.id} {self.ref} of {of}: {size}, position {self.position}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(c.name)}</td><td>{html.escape(c.type)}</td><td>{html.escape(c.origin)}</td><td>{c.nulls}</td>"
            f"<td>{html.escape(', '.join(f'{n} {s}' for s, n in c.statuses.items()))}</td></tr>"
            for c in self.columns
        )
        return (
            f"<p>{html.escape(repr(self)[1:-1])}</p><table><thead><tr><th>column</th><th>type</th><th>origin</th><th>missing</th>"
            f"<th>statuses</th></tr></thead><tbody>{rows}</tbody></table>"
        )
