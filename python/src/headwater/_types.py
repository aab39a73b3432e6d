"""The types of features and what carries their values: Arrow in datasets, `headwater.v1.Value` in requests.

| type | Arrow | Python |
|---|---|---|
| `bool` | bool | bool |
| `int64` | int64 | int |
| `float64` | float64 | float |
| `string` | string | str |
| `timestamp` | timestamp[us, tz=UTC] | datetime with a zone |
| `decimal(P, S)` | decimal128(P, S) | Decimal |
| `bytes` | binary | bytes |
| `list(T)` | list<T> | list |
| `vector(N)` | fixed_size_list<float>[N] | list of float |
"""

from __future__ import annotations

import datetime
import decimal
import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from headwater.v1 import value_pb2

TIMESTAMP = pa.timestamp("us", tz="UTC")

_SIMPLE: dict[str, pa.DataType] = {
    "bool": pa.bool_(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "string": pa.string(),
    "timestamp": TIMESTAMP,
    "bytes": pa.binary(),
}
_DECIMAL = re.compile(r"decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)")
_LIST = re.compile(r"list\((.*)\)", re.DOTALL)
_VECTOR = re.compile(r"vector\(\s*(\d+)\s*\)")


def arrow_type(name: str) -> pa.DataType | None:
    """The Arrow type of a type as definitions write it; None for one that this package does not know.

    >>> arrow_type("list(decimal(12, 2))")
    ListType(list<item: decimal128(12, 2)>)
    """
    name = name.strip()
    if name in _SIMPLE:
        return _SIMPLE[name]
    if m := _DECIMAL.fullmatch(name):
        return pa.decimal128(int(m[1]), int(m[2]))
    if m := _VECTOR.fullmatch(name):
        return pa.list_(pa.float32(), int(m[1]))
    if m := _LIST.fullmatch(name):
        element = arrow_type(m[1])
        return None if element is None else pa.list_(element)
    return None


def type_name(type_: pa.DataType) -> str:
    """What definitions call a type that `arrow_type` returns; of others, what Arrow calls it."""
    for name, simple in _SIMPLE.items():
        if type_ == simple:
            return name
    if pa.types.is_decimal128(type_):
        return f"decimal({type_.precision}, {type_.scale})"
    if pa.types.is_fixed_size_list(type_):
        return f"vector({type_.list_size})"
    if pa.types.is_list(type_):
        return f"list({type_name(type_.value_type)})"
    return str(type_)


def to_value(v: Any, type_: pa.DataType | None) -> value_pb2.Value:
    """A Python value for a request. Without a type, that of the value is taken.

    Raises:
        ValueError: It is none of the type. The text says what was found and what was expected.
    """
    # NumPy's scalars, and those of Arrow.
    if isinstance(v, pa.Scalar):
        v = v.as_py()
    elif hasattr(v, "item") and getattr(v, "ndim", None) == 0:
        v = v.item() if type(v).__name__ != "datetime64" else v.astype("datetime64[us]").item()
    if _is_missing(v):
        return value_pb2.Value()
    if type_ is None:
        type_ = _guessed(v)
    try:
        return _typed(v, type_)
    except (TypeError, ValueError, ArithmeticError) as error:
        if isinstance(error, _Unfit):
            raise ValueError(str(error)) from None
        raise ValueError(f"found {_shown(v)}, expected {type_name(type_)}") from error


class _Unfit(ValueError):
    pass


def _is_missing(v: Any) -> bool:
    # pandas.NaT and pandas.NA are missing wherever they stand; a NaN is a value.
    return v is None or type(v).__name__ in ("NaTType", "NAType")


def _guessed(v: Any) -> pa.DataType:
    if isinstance(v, bool):
        return pa.bool_()
    if isinstance(v, int):
        return pa.int64()
    if isinstance(v, float):
        return pa.float64()
    if isinstance(v, str):
        return pa.string()
    if isinstance(v, datetime.datetime):
        return TIMESTAMP
    if isinstance(v, decimal.Decimal):
        return pa.decimal128(38, max(0, min(38, -_exponent(v))))
    if isinstance(v, bytes | bytearray | memoryview):
        return pa.binary()
    if hasattr(v, "dtype") and hasattr(v, "tolist") and str(v.dtype) == "float32":
        return pa.list_(pa.float32(), len(v))
    if isinstance(v, Sequence) or hasattr(v, "tolist"):
        elements = v.tolist() if hasattr(v, "tolist") else v
        return pa.list_(_guessed(elements[0]) if len(elements) else pa.string())
    raise ValueError(
        f"found {_shown(v)}, expected None, a bool, int, float, str, bytes, datetime, Decimal, a list of one of these, "
        "or an array of float32 for a vector"
    )


def _exponent(v: decimal.Decimal) -> int:
    exponent = v.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _shown(v: Any) -> str:
    text = repr(v)
    return f"{text if len(text) <= 60 else text[:60] + '…'} of type {type(v).__name__}"


def _typed(v: Any, type_: pa.DataType) -> value_pb2.Value:
    types = pa.types
    if types.is_boolean(type_):
        if isinstance(v, bool):
            return value_pb2.Value(bool_value=v)
    elif types.is_int64(type_):
        if isinstance(v, int) and not isinstance(v, bool):
            return value_pb2.Value(int64_value=v)
        # What pandas makes of a column of integers with a missing one.
        if isinstance(v, float) and v.is_integer() and abs(v) <= 2**53:
            return value_pb2.Value(int64_value=int(v))
    elif types.is_float64(type_):
        if isinstance(v, float):
            return value_pb2.Value(float64_value=v)
        if isinstance(v, int) and not isinstance(v, bool):
            if int(float(v)) != v:
                raise _Unfit(f"found {v}, which a float64 does not hold exactly; give it as a float if it may be rounded")
            return value_pb2.Value(float64_value=float(v))
    elif types.is_string(type_):
        if isinstance(v, str):
            return value_pb2.Value(string_value=v)
    elif types.is_timestamp(type_):
        if isinstance(v, datetime.datetime):
            return _timestamp(v)
    elif types.is_decimal(type_):
        if isinstance(v, decimal.Decimal | int) and not isinstance(v, bool):
            d = decimal.Decimal(v)
            if not d.is_finite():
                raise _Unfit(f"found {v}, expected {type_name(type_)}: decimals have no infinity and no NaN")
            return value_pb2.Value(decimal_value=format(d, "f"))
        if isinstance(v, float):
            raise _Unfit(f"found the float {v}, expected {type_name(type_)}; give it as a Decimal or an int, which are exact")
    elif types.is_binary(type_):
        if isinstance(v, bytes | bytearray | memoryview):
            return value_pb2.Value(bytes_value=bytes(v))
    elif types.is_fixed_size_list(type_):
        if not isinstance(v, str | bytes):
            return value_pb2.Value(vector_value=value_pb2.VectorValue(values=_floats32(v, type_)))
    elif types.is_list(type_) and not isinstance(v, str | bytes):
        elements = v.tolist() if hasattr(v, "tolist") else v
        return value_pb2.Value(list_value=value_pb2.ListValue(values=[to_value(e, type_.value_type) for e in elements]))
    raise _Unfit(f"found {_shown(v)}, expected {type_name(type_)}")


_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_MICROSECOND = datetime.timedelta(microseconds=1)


def microseconds(v: datetime.datetime) -> int:
    """Microseconds since 1970-01-01T00:00:00Z. A time without a zone is read as UTC."""
    if getattr(v, "nanosecond", 0):
        raise _Unfit(f"found {v!s}, which has nanoseconds; times are in microseconds, so round it: .floor('us')")
    if v.tzinfo is None:
        v = v.replace(tzinfo=datetime.timezone.utc)
    return (v - _EPOCH) // _MICROSECOND


def _timestamp(v: datetime.datetime) -> value_pb2.Value:
    out = value_pb2.Value()
    us = microseconds(v)
    out.timestamp_value.seconds, out.timestamp_value.nanos = us // 1_000_000, us % 1_000_000 * 1000
    return out


def _floats32(v: Any, type_: pa.DataType) -> list[float]:
    values = [float(e) for e in (v.tolist() if hasattr(v, "tolist") else v)]
    if len(values) != type_.list_size:
        raise _Unfit(f"found {len(values)} numbers, expected {type_name(type_)}")
    as32 = pa.array(values, pa.float32()).to_pylist()
    for given, kept in zip(values, as32, strict=True):
        if given == given and given != kept:
            raise _Unfit(
                f"found {given!r} in a vector, which a float of 32 bits does not hold exactly; round it: numpy.float32(x)"
            )
    return values


def from_value(v: value_pb2.Value) -> Any:
    """A value of a response as Python has it; None for NULL."""
    kind = v.WhichOneof("kind")
    if kind is None:
        return None
    if kind == "timestamp_value":
        t = v.timestamp_value
        return from_microseconds(t.seconds * 1_000_000 + t.nanos // 1000)
    if kind == "decimal_value":
        return decimal.Decimal(v.decimal_value)
    if kind == "list_value":
        return [from_value(e) for e in v.list_value.values]
    if kind == "vector_value":
        return list(v.vector_value.values)
    return getattr(v, kind)


def from_microseconds(us: int) -> datetime.datetime:
    """The time that many microseconds after 1970-01-01T00:00:00Z, in UTC."""
    return _EPOCH + datetime.timedelta(microseconds=us)
