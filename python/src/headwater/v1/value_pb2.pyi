import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ValueType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VALUE_TYPE_UNSPECIFIED: _ClassVar[ValueType]
    VALUE_TYPE_BOOL: _ClassVar[ValueType]
    VALUE_TYPE_INT64: _ClassVar[ValueType]
    VALUE_TYPE_FLOAT64: _ClassVar[ValueType]
    VALUE_TYPE_STRING: _ClassVar[ValueType]
    VALUE_TYPE_TIMESTAMP: _ClassVar[ValueType]
    VALUE_TYPE_DECIMAL: _ClassVar[ValueType]
    VALUE_TYPE_BYTES: _ClassVar[ValueType]
    VALUE_TYPE_LIST: _ClassVar[ValueType]
    VALUE_TYPE_VECTOR: _ClassVar[ValueType]

class ValueStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VALUE_STATUS_UNSPECIFIED: _ClassVar[ValueStatus]
    VALUE_STATUS_PRESENT: _ClassVar[ValueStatus]
    VALUE_STATUS_NULL: _ClassVar[ValueStatus]
    VALUE_STATUS_DEFAULT: _ClassVar[ValueStatus]
    VALUE_STATUS_NO_KEY: _ClassVar[ValueStatus]
    VALUE_STATUS_NO_ROW: _ClassVar[ValueStatus]
    VALUE_STATUS_EXPIRED: _ClassVar[ValueStatus]
    VALUE_STATUS_NOT_YET_KNOWN: _ClassVar[ValueStatus]
    VALUE_STATUS_STALE: _ClassVar[ValueStatus]
    VALUE_STATUS_MASKED: _ClassVar[ValueStatus]
    VALUE_STATUS_ERROR: _ClassVar[ValueStatus]
    VALUE_STATUS_UNAVAILABLE: _ClassVar[ValueStatus]
VALUE_TYPE_UNSPECIFIED: ValueType
VALUE_TYPE_BOOL: ValueType
VALUE_TYPE_INT64: ValueType
VALUE_TYPE_FLOAT64: ValueType
VALUE_TYPE_STRING: ValueType
VALUE_TYPE_TIMESTAMP: ValueType
VALUE_TYPE_DECIMAL: ValueType
VALUE_TYPE_BYTES: ValueType
VALUE_TYPE_LIST: ValueType
VALUE_TYPE_VECTOR: ValueType
VALUE_STATUS_UNSPECIFIED: ValueStatus
VALUE_STATUS_PRESENT: ValueStatus
VALUE_STATUS_NULL: ValueStatus
VALUE_STATUS_DEFAULT: ValueStatus
VALUE_STATUS_NO_KEY: ValueStatus
VALUE_STATUS_NO_ROW: ValueStatus
VALUE_STATUS_EXPIRED: ValueStatus
VALUE_STATUS_NOT_YET_KNOWN: ValueStatus
VALUE_STATUS_STALE: ValueStatus
VALUE_STATUS_MASKED: ValueStatus
VALUE_STATUS_ERROR: ValueStatus
VALUE_STATUS_UNAVAILABLE: ValueStatus

class Value(_message.Message):
    __slots__ = ("bool_value", "int64_value", "float64_value", "string_value", "timestamp_value", "decimal_value", "bytes_value", "list_value", "vector_value")
    BOOL_VALUE_FIELD_NUMBER: _ClassVar[int]
    INT64_VALUE_FIELD_NUMBER: _ClassVar[int]
    FLOAT64_VALUE_FIELD_NUMBER: _ClassVar[int]
    STRING_VALUE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_VALUE_FIELD_NUMBER: _ClassVar[int]
    DECIMAL_VALUE_FIELD_NUMBER: _ClassVar[int]
    BYTES_VALUE_FIELD_NUMBER: _ClassVar[int]
    LIST_VALUE_FIELD_NUMBER: _ClassVar[int]
    VECTOR_VALUE_FIELD_NUMBER: _ClassVar[int]
    bool_value: bool
    int64_value: int
    float64_value: float
    string_value: str
    timestamp_value: _timestamp_pb2.Timestamp
    decimal_value: str
    bytes_value: bytes
    list_value: ListValue
    vector_value: VectorValue
    def __init__(self, bool_value: bool = ..., int64_value: _Optional[int] = ..., float64_value: _Optional[float] = ..., string_value: _Optional[str] = ..., timestamp_value: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., decimal_value: _Optional[str] = ..., bytes_value: _Optional[bytes] = ..., list_value: _Optional[_Union[ListValue, _Mapping]] = ..., vector_value: _Optional[_Union[VectorValue, _Mapping]] = ...) -> None: ...

class ListValue(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[Value]
    def __init__(self, values: _Optional[_Iterable[_Union[Value, _Mapping]]] = ...) -> None: ...

class VectorValue(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ...) -> None: ...

class ValueVector(_message.Message):
    __slots__ = ("type", "status", "bools", "int64s", "float64s", "strings", "timestamps", "decimals", "bytes_values", "lists", "vectors", "type_name", "status_of_all", "nulls")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    BOOLS_FIELD_NUMBER: _ClassVar[int]
    INT64S_FIELD_NUMBER: _ClassVar[int]
    FLOAT64S_FIELD_NUMBER: _ClassVar[int]
    STRINGS_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMPS_FIELD_NUMBER: _ClassVar[int]
    DECIMALS_FIELD_NUMBER: _ClassVar[int]
    BYTES_VALUES_FIELD_NUMBER: _ClassVar[int]
    LISTS_FIELD_NUMBER: _ClassVar[int]
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    TYPE_NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_OF_ALL_FIELD_NUMBER: _ClassVar[int]
    NULLS_FIELD_NUMBER: _ClassVar[int]
    type: ValueType
    status: _containers.RepeatedScalarFieldContainer[ValueStatus]
    bools: _containers.RepeatedScalarFieldContainer[bool]
    int64s: _containers.RepeatedScalarFieldContainer[int]
    float64s: _containers.RepeatedScalarFieldContainer[float]
    strings: _containers.RepeatedScalarFieldContainer[str]
    timestamps: _containers.RepeatedScalarFieldContainer[int]
    decimals: _containers.RepeatedScalarFieldContainer[str]
    bytes_values: _containers.RepeatedScalarFieldContainer[bytes]
    lists: _containers.RepeatedCompositeFieldContainer[ListValue]
    vectors: _containers.RepeatedScalarFieldContainer[float]
    type_name: str
    status_of_all: ValueStatus
    nulls: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, type: _Optional[_Union[ValueType, str]] = ..., status: _Optional[_Iterable[_Union[ValueStatus, str]]] = ..., bools: _Optional[_Iterable[bool]] = ..., int64s: _Optional[_Iterable[int]] = ..., float64s: _Optional[_Iterable[float]] = ..., strings: _Optional[_Iterable[str]] = ..., timestamps: _Optional[_Iterable[int]] = ..., decimals: _Optional[_Iterable[str]] = ..., bytes_values: _Optional[_Iterable[bytes]] = ..., lists: _Optional[_Iterable[_Union[ListValue, _Mapping]]] = ..., vectors: _Optional[_Iterable[float]] = ..., type_name: _Optional[str] = ..., status_of_all: _Optional[_Union[ValueStatus, str]] = ..., nulls: _Optional[_Iterable[int]] = ...) -> None: ...
