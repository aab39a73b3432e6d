import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from headwater.v1 import dataset_pb2 as _dataset_pb2
from headwater.v1 import online_pb2 as _online_pb2
from headwater.v1 import options_pb2 as _options_pb2
from headwater.v1 import value_pb2 as _value_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReadVerdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    READ_VERDICT_UNSPECIFIED: _ClassVar[ReadVerdict]
    READ_VERDICT_MATCH: _ClassVar[ReadVerdict]
    READ_VERDICT_LAG: _ClassVar[ReadVerdict]
    READ_VERDICT_MISMATCH: _ClassVar[ReadVerdict]
    READ_VERDICT_NOT_CHECKED: _ClassVar[ReadVerdict]
READ_VERDICT_UNSPECIFIED: ReadVerdict
READ_VERDICT_MATCH: ReadVerdict
READ_VERDICT_LAG: ReadVerdict
READ_VERDICT_MISMATCH: ReadVerdict
READ_VERDICT_NOT_CHECKED: ReadVerdict

class LoggedRead(_message.Message):
    __slots__ = ("read_id", "served_at", "service", "service_version", "log", "position", "principal", "purpose", "prediction_id", "entities", "key_mapping", "joins", "keys", "inputs", "features", "provenance", "hash_version", "erased", "policy")
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
        value: _online_pb2.KeyColumn
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_online_pb2.KeyColumn, _Mapping]] = ...) -> None: ...
    READ_ID_FIELD_NUMBER: _ClassVar[int]
    SERVED_AT_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    SERVICE_VERSION_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_ID_FIELD_NUMBER: _ClassVar[int]
    ENTITIES_FIELD_NUMBER: _ClassVar[int]
    KEY_MAPPING_FIELD_NUMBER: _ClassVar[int]
    JOINS_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    HASH_VERSION_FIELD_NUMBER: _ClassVar[int]
    ERASED_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    read_id: str
    served_at: _timestamp_pb2.Timestamp
    service: str
    service_version: int
    log: str
    position: int
    principal: str
    purpose: str
    prediction_id: str
    entities: int
    key_mapping: _containers.ScalarMap[str, str]
    joins: _containers.RepeatedCompositeFieldContainer[_online_pb2.FeatureJoin]
    keys: _containers.RepeatedCompositeFieldContainer[LoggedKeys]
    inputs: _containers.MessageMap[str, _online_pb2.KeyColumn]
    features: _containers.RepeatedCompositeFieldContainer[LoggedFeature]
    provenance: _containers.RepeatedCompositeFieldContainer[_online_pb2.ViewProvenance]
    hash_version: int
    erased: _containers.RepeatedScalarFieldContainer[int]
    policy: _dataset_pb2.AppliedPolicy
    def __init__(self, read_id: _Optional[str] = ..., served_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., service: _Optional[str] = ..., service_version: _Optional[int] = ..., log: _Optional[str] = ..., position: _Optional[int] = ..., principal: _Optional[str] = ..., purpose: _Optional[str] = ..., prediction_id: _Optional[str] = ..., entities: _Optional[int] = ..., key_mapping: _Optional[_Mapping[str, str]] = ..., joins: _Optional[_Iterable[_Union[_online_pb2.FeatureJoin, _Mapping]]] = ..., keys: _Optional[_Iterable[_Union[LoggedKeys, _Mapping]]] = ..., inputs: _Optional[_Mapping[str, _online_pb2.KeyColumn]] = ..., features: _Optional[_Iterable[_Union[LoggedFeature, _Mapping]]] = ..., provenance: _Optional[_Iterable[_Union[_online_pb2.ViewProvenance, _Mapping]]] = ..., hash_version: _Optional[int] = ..., erased: _Optional[_Iterable[int]] = ..., policy: _Optional[_Union[_dataset_pb2.AppliedPolicy, _Mapping]] = ...) -> None: ...

class LoggedKeys(_message.Message):
    __slots__ = ("entity", "entity_version", "columns", "keys", "hashes", "without")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    ENTITY_VERSION_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    HASHES_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_FIELD_NUMBER: _ClassVar[int]
    entity: str
    entity_version: int
    columns: _containers.RepeatedScalarFieldContainer[str]
    keys: _containers.RepeatedScalarFieldContainer[str]
    hashes: _containers.RepeatedScalarFieldContainer[bytes]
    without: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, entity: _Optional[str] = ..., entity_version: _Optional[int] = ..., columns: _Optional[_Iterable[str]] = ..., keys: _Optional[_Iterable[str]] = ..., hashes: _Optional[_Iterable[bytes]] = ..., without: _Optional[_Iterable[int]] = ...) -> None: ...

class LoggedFeature(_message.Message):
    __slots__ = ("name", "view", "view_version", "feature", "values", "digest")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    VIEW_VERSION_FIELD_NUMBER: _ClassVar[int]
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    name: str
    view: str
    view_version: int
    feature: str
    values: _value_pb2.ValueVector
    digest: bytes
    def __init__(self, name: _Optional[str] = ..., view: _Optional[str] = ..., view_version: _Optional[int] = ..., feature: _Optional[str] = ..., values: _Optional[_Union[_value_pb2.ValueVector, _Mapping]] = ..., digest: _Optional[bytes] = ...) -> None: ...

class GetReadRequest(_message.Message):
    __slots__ = ("read_id",)
    READ_ID_FIELD_NUMBER: _ClassVar[int]
    read_id: str
    def __init__(self, read_id: _Optional[str] = ...) -> None: ...

class GetReadResponse(_message.Message):
    __slots__ = ("read", "shown")
    READ_FIELD_NUMBER: _ClassVar[int]
    SHOWN_FIELD_NUMBER: _ClassVar[int]
    read: LoggedRead
    shown: bool
    def __init__(self, read: _Optional[_Union[LoggedRead, _Mapping]] = ..., shown: bool = ...) -> None: ...

class ListReadsRequest(_message.Message):
    __slots__ = ("service", "entity", "keys", "prediction_id", "since", "until", "limit", "before")
    class KeysEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _value_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_value_pb2.Value, _Mapping]] = ...) -> None: ...
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_ID_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    service: str
    entity: str
    keys: _containers.MessageMap[str, _value_pb2.Value]
    prediction_id: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    limit: int
    before: str
    def __init__(self, service: _Optional[str] = ..., entity: _Optional[str] = ..., keys: _Optional[_Mapping[str, _value_pb2.Value]] = ..., prediction_id: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., limit: _Optional[int] = ..., before: _Optional[str] = ...) -> None: ...

class ListReadsResponse(_message.Message):
    __slots__ = ("reads", "next")
    READS_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    reads: _containers.RepeatedCompositeFieldContainer[LoggedRead]
    next: str
    def __init__(self, reads: _Optional[_Iterable[_Union[LoggedRead, _Mapping]]] = ..., next: _Optional[str] = ...) -> None: ...

class VerifyReadRequest(_message.Message):
    __slots__ = ("read_id", "keys")
    class KeysEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _online_pb2.KeyColumn
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_online_pb2.KeyColumn, _Mapping]] = ...) -> None: ...
    READ_ID_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    read_id: str
    keys: _containers.MessageMap[str, _online_pb2.KeyColumn]
    def __init__(self, read_id: _Optional[str] = ..., keys: _Optional[_Mapping[str, _online_pb2.KeyColumn]] = ...) -> None: ...

class VerifyReadResponse(_message.Message):
    __slots__ = ("read_id", "matching", "lagging", "different", "not_checked", "differences")
    READ_ID_FIELD_NUMBER: _ClassVar[int]
    MATCHING_FIELD_NUMBER: _ClassVar[int]
    LAGGING_FIELD_NUMBER: _ClassVar[int]
    DIFFERENT_FIELD_NUMBER: _ClassVar[int]
    NOT_CHECKED_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    read_id: str
    matching: int
    lagging: int
    different: int
    not_checked: int
    differences: _containers.RepeatedCompositeFieldContainer[ReadDifference]
    def __init__(self, read_id: _Optional[str] = ..., matching: _Optional[int] = ..., lagging: _Optional[int] = ..., different: _Optional[int] = ..., not_checked: _Optional[int] = ..., differences: _Optional[_Iterable[_Union[ReadDifference, _Mapping]]] = ...) -> None: ...

class ReadDifference(_message.Message):
    __slots__ = ("feature", "row", "verdict", "served", "recomputed", "served_run", "recomputed_run", "why")
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    SERVED_FIELD_NUMBER: _ClassVar[int]
    RECOMPUTED_FIELD_NUMBER: _ClassVar[int]
    SERVED_RUN_FIELD_NUMBER: _ClassVar[int]
    RECOMPUTED_RUN_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    feature: str
    row: int
    verdict: ReadVerdict
    served: str
    recomputed: str
    served_run: int
    recomputed_run: int
    why: str
    def __init__(self, feature: _Optional[str] = ..., row: _Optional[int] = ..., verdict: _Optional[_Union[ReadVerdict, str]] = ..., served: _Optional[str] = ..., recomputed: _Optional[str] = ..., served_run: _Optional[int] = ..., recomputed_run: _Optional[int] = ..., why: _Optional[str] = ...) -> None: ...
