import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from headwater.v1 import error_pb2 as _error_pb2
from headwater.v1 import options_pb2 as _options_pb2
from headwater.v1 import value_pb2 as _value_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FeatureEncoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FEATURE_ENCODING_UNSPECIFIED: _ClassVar[FeatureEncoding]
    FEATURE_ENCODING_ARROW: _ClassVar[FeatureEncoding]
FEATURE_ENCODING_UNSPECIFIED: FeatureEncoding
FEATURE_ENCODING_ARROW: FeatureEncoding

class GetFeaturesRequest(_message.Message):
    __slots__ = ("service", "keys", "purpose", "key_mapping", "inputs", "with_provenance", "features", "joins", "allow_partial", "encoding", "prediction_id")
    class KeysEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: KeyColumn
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[KeyColumn, _Mapping]] = ...) -> None: ...
    class KeyMappingEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class InputsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: KeyColumn
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[KeyColumn, _Mapping]] = ...) -> None: ...
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    KEY_MAPPING_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    WITH_PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    JOINS_FIELD_NUMBER: _ClassVar[int]
    ALLOW_PARTIAL_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_ID_FIELD_NUMBER: _ClassVar[int]
    service: str
    keys: _containers.MessageMap[str, KeyColumn]
    purpose: str
    key_mapping: _containers.ScalarMap[str, str]
    inputs: _containers.MessageMap[str, KeyColumn]
    with_provenance: bool
    features: _containers.RepeatedScalarFieldContainer[str]
    joins: _containers.RepeatedCompositeFieldContainer[FeatureJoin]
    allow_partial: bool
    encoding: FeatureEncoding
    prediction_id: str
    def __init__(self, service: _Optional[str] = ..., keys: _Optional[_Mapping[str, KeyColumn]] = ..., purpose: _Optional[str] = ..., key_mapping: _Optional[_Mapping[str, str]] = ..., inputs: _Optional[_Mapping[str, KeyColumn]] = ..., with_provenance: bool = ..., features: _Optional[_Iterable[str]] = ..., joins: _Optional[_Iterable[_Union[FeatureJoin, _Mapping]]] = ..., allow_partial: bool = ..., encoding: _Optional[_Union[FeatureEncoding, str]] = ..., prediction_id: _Optional[str] = ...) -> None: ...

class FeatureJoin(_message.Message):
    __slots__ = ("prefix", "key_mapping", "views")
    class KeyMappingEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    KEY_MAPPING_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    key_mapping: _containers.ScalarMap[str, str]
    views: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, prefix: _Optional[str] = ..., key_mapping: _Optional[_Mapping[str, str]] = ..., views: _Optional[_Iterable[str]] = ...) -> None: ...

class KeyColumn(_message.Message):
    __slots__ = ("values", "strings", "int64s")
    VALUES_FIELD_NUMBER: _ClassVar[int]
    STRINGS_FIELD_NUMBER: _ClassVar[int]
    INT64S_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[_value_pb2.Value]
    strings: _containers.RepeatedScalarFieldContainer[str]
    int64s: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, values: _Optional[_Iterable[_Union[_value_pb2.Value, _Mapping]]] = ..., strings: _Optional[_Iterable[str]] = ..., int64s: _Optional[_Iterable[int]] = ...) -> None: ...

class GetFeaturesResponse(_message.Message):
    __slots__ = ("read_id", "service", "service_version", "features", "provenance", "served_at", "position", "arrow")
    READ_ID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    SERVICE_VERSION_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    SERVED_AT_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    ARROW_FIELD_NUMBER: _ClassVar[int]
    read_id: str
    service: str
    service_version: int
    features: _containers.RepeatedCompositeFieldContainer[FeatureVector]
    provenance: _containers.RepeatedCompositeFieldContainer[ViewProvenance]
    served_at: _timestamp_pb2.Timestamp
    position: int
    arrow: bytes
    def __init__(self, read_id: _Optional[str] = ..., service: _Optional[str] = ..., service_version: _Optional[int] = ..., features: _Optional[_Iterable[_Union[FeatureVector, _Mapping]]] = ..., provenance: _Optional[_Iterable[_Union[ViewProvenance, _Mapping]]] = ..., served_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., position: _Optional[int] = ..., arrow: _Optional[bytes] = ...) -> None: ...

class StreamFeaturesRequest(_message.Message):
    __slots__ = ("id", "request")
    ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    id: int
    request: GetFeaturesRequest
    def __init__(self, id: _Optional[int] = ..., request: _Optional[_Union[GetFeaturesRequest, _Mapping]] = ...) -> None: ...

class StreamFeaturesResponse(_message.Message):
    __slots__ = ("id", "response", "failure")
    ID_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    id: int
    response: GetFeaturesResponse
    failure: ReadFailure
    def __init__(self, id: _Optional[int] = ..., response: _Optional[_Union[GetFeaturesResponse, _Mapping]] = ..., failure: _Optional[_Union[ReadFailure, _Mapping]] = ...) -> None: ...

class ReadFailure(_message.Message):
    __slots__ = ("code", "reason", "message", "metadata", "violations", "retry_after")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class ViolationsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    VIOLATIONS_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    code: int
    reason: _error_pb2.ErrorReason
    message: str
    metadata: _containers.ScalarMap[str, str]
    violations: _containers.ScalarMap[str, str]
    retry_after: _duration_pb2.Duration
    def __init__(self, code: _Optional[int] = ..., reason: _Optional[_Union[_error_pb2.ErrorReason, str]] = ..., message: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ..., violations: _Optional[_Mapping[str, str]] = ..., retry_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class FeatureVector(_message.Message):
    __slots__ = ("name", "values", "view", "view_version", "feature")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    VIEW_VERSION_FIELD_NUMBER: _ClassVar[int]
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    name: str
    values: _value_pb2.ValueVector
    view: str
    view_version: int
    feature: str
    def __init__(self, name: _Optional[str] = ..., values: _Optional[_Union[_value_pb2.ValueVector, _Mapping]] = ..., view: _Optional[str] = ..., view_version: _Optional[int] = ..., feature: _Optional[str] = ...) -> None: ...

class ViewProvenance(_message.Message):
    __slots__ = ("view", "view_version", "event_times", "available_ats", "run_seqs", "ages", "prefix", "late")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    VIEW_VERSION_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIMES_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_ATS_FIELD_NUMBER: _ClassVar[int]
    RUN_SEQS_FIELD_NUMBER: _ClassVar[int]
    AGES_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    view: str
    view_version: int
    event_times: _containers.RepeatedScalarFieldContainer[int]
    available_ats: _containers.RepeatedScalarFieldContainer[int]
    run_seqs: _containers.RepeatedScalarFieldContainer[int]
    ages: _containers.RepeatedScalarFieldContainer[int]
    prefix: str
    late: bool
    def __init__(self, view: _Optional[str] = ..., view_version: _Optional[int] = ..., event_times: _Optional[_Iterable[int]] = ..., available_ats: _Optional[_Iterable[int]] = ..., run_seqs: _Optional[_Iterable[int]] = ..., ages: _Optional[_Iterable[int]] = ..., prefix: _Optional[str] = ..., late: bool = ...) -> None: ...
