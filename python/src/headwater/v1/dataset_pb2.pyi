import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from headwater.v1 import access_pb2 as _access_pb2
from headwater.v1 import approval_pb2 as _approval_pb2
from headwater.v1 import options_pb2 as _options_pb2
from headwater.v1 import value_pb2 as _value_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class KnowledgeMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KNOWLEDGE_MODE_UNSPECIFIED: _ClassVar[KnowledgeMode]
    KNOWLEDGE_MODE_ARRIVAL: _ClassVar[KnowledgeMode]
    KNOWLEDGE_MODE_EVENT: _ClassVar[KnowledgeMode]

class DatasetState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DATASET_STATE_UNSPECIFIED: _ClassVar[DatasetState]
    DATASET_STATE_BUILT: _ClassVar[DatasetState]
    DATASET_STATE_RELEASED: _ClassVar[DatasetState]
    DATASET_STATE_DELETED: _ClassVar[DatasetState]

class DatasetVerdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DATASET_VERDICT_UNSPECIFIED: _ClassVar[DatasetVerdict]
    DATASET_VERDICT_SAME: _ClassVar[DatasetVerdict]
    DATASET_VERDICT_DIFFERENT: _ClassVar[DatasetVerdict]
    DATASET_VERDICT_ERASED: _ClassVar[DatasetVerdict]
KNOWLEDGE_MODE_UNSPECIFIED: KnowledgeMode
KNOWLEDGE_MODE_ARRIVAL: KnowledgeMode
KNOWLEDGE_MODE_EVENT: KnowledgeMode
DATASET_STATE_UNSPECIFIED: DatasetState
DATASET_STATE_BUILT: DatasetState
DATASET_STATE_RELEASED: DatasetState
DATASET_STATE_DELETED: DatasetState
DATASET_VERDICT_UNSPECIFIED: DatasetVerdict
DATASET_VERDICT_SAME: DatasetVerdict
DATASET_VERDICT_DIFFERENT: DatasetVerdict
DATASET_VERDICT_ERASED: DatasetVerdict

class BuildDatasetRequest(_message.Message):
    __slots__ = ("service", "header", "arrow")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ARROW_FIELD_NUMBER: _ClassVar[int]
    service: str
    header: BuildDatasetHeader
    arrow: bytes
    def __init__(self, service: _Optional[str] = ..., header: _Optional[_Union[BuildDatasetHeader, _Mapping]] = ..., arrow: _Optional[bytes] = ...) -> None: ...

class BuildDatasetHeader(_message.Message):
    __slots__ = ("name", "timestamp_column", "as_of", "purpose", "key_mapping", "features", "joins", "query", "events", "knowledge", "allow_partial", "with_statuses", "leave_out", "use")
    class KeyMappingEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_COLUMN_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    KEY_MAPPING_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    JOINS_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    KNOWLEDGE_FIELD_NUMBER: _ClassVar[int]
    ALLOW_PARTIAL_FIELD_NUMBER: _ClassVar[int]
    WITH_STATUSES_FIELD_NUMBER: _ClassVar[int]
    LEAVE_OUT_FIELD_NUMBER: _ClassVar[int]
    USE_FIELD_NUMBER: _ClassVar[int]
    name: str
    timestamp_column: str
    as_of: str
    purpose: str
    key_mapping: _containers.ScalarMap[str, str]
    features: _containers.RepeatedScalarFieldContainer[str]
    joins: _containers.RepeatedCompositeFieldContainer[DatasetJoin]
    query: SpineQuery
    events: SpineEvents
    knowledge: KnowledgeMode
    allow_partial: bool
    with_statuses: bool
    leave_out: _containers.RepeatedCompositeFieldContainer[LeaveOutRule]
    use: str
    def __init__(self, name: _Optional[str] = ..., timestamp_column: _Optional[str] = ..., as_of: _Optional[str] = ..., purpose: _Optional[str] = ..., key_mapping: _Optional[_Mapping[str, str]] = ..., features: _Optional[_Iterable[str]] = ..., joins: _Optional[_Iterable[_Union[DatasetJoin, _Mapping]]] = ..., query: _Optional[_Union[SpineQuery, _Mapping]] = ..., events: _Optional[_Union[SpineEvents, _Mapping]] = ..., knowledge: _Optional[_Union[KnowledgeMode, str]] = ..., allow_partial: bool = ..., with_statuses: bool = ..., leave_out: _Optional[_Iterable[_Union[LeaveOutRule, _Mapping]]] = ..., use: _Optional[str] = ...) -> None: ...

class DatasetJoin(_message.Message):
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

class SpineQuery(_message.Message):
    __slots__ = ("sql", "sources")
    SQL_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    sql: str
    sources: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, sql: _Optional[str] = ..., sources: _Optional[_Iterable[str]] = ...) -> None: ...

class SpineEvents(_message.Message):
    __slots__ = ("source", "to", "columns")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    source: str
    to: _timestamp_pb2.Timestamp
    columns: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, source: _Optional[str] = ..., to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., columns: _Optional[_Iterable[str]] = ..., **kwargs) -> None: ...

class LeaveOutRule(_message.Message):
    __slots__ = ("any_missing", "all_missing", "condition")
    ANY_MISSING_FIELD_NUMBER: _ClassVar[int]
    ALL_MISSING_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    any_missing: LeaveOutMissing
    all_missing: LeaveOutMissing
    condition: str
    def __init__(self, any_missing: _Optional[_Union[LeaveOutMissing, _Mapping]] = ..., all_missing: _Optional[_Union[LeaveOutMissing, _Mapping]] = ..., condition: _Optional[str] = ...) -> None: ...

class LeaveOutMissing(_message.Message):
    __slots__ = ("columns",)
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    columns: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, columns: _Optional[_Iterable[str]] = ...) -> None: ...

class BuildDatasetResponse(_message.Message):
    __slots__ = ("arrow", "manifest")
    ARROW_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    arrow: bytes
    manifest: Manifest
    def __init__(self, arrow: _Optional[bytes] = ..., manifest: _Optional[_Union[Manifest, _Mapping]] = ...) -> None: ...

class Manifest(_message.Message):
    __slots__ = ("id", "name", "version", "state", "service", "service_version", "service_fingerprint", "views", "position", "timestamp_column", "key_mapping", "purpose", "rows", "columns", "spine_digest", "content_digest", "arrow_sha256", "arrow_writer", "principal", "created_at", "server_version", "on_demand", "followed", "features", "joins", "knowledge", "may_leak", "with_statuses", "spine_rows", "left_out", "partial", "spine_origin", "versions", "policy", "erasures", "deleted_at", "deleted_by", "use", "gates", "held", "carried_tags", "released_at", "released_by")
    class KeyMappingEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class FollowedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    SERVICE_VERSION_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_COLUMN_FIELD_NUMBER: _ClassVar[int]
    KEY_MAPPING_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    SPINE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CONTENT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ARROW_SHA256_FIELD_NUMBER: _ClassVar[int]
    ARROW_WRITER_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    ON_DEMAND_FIELD_NUMBER: _ClassVar[int]
    FOLLOWED_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    JOINS_FIELD_NUMBER: _ClassVar[int]
    KNOWLEDGE_FIELD_NUMBER: _ClassVar[int]
    MAY_LEAK_FIELD_NUMBER: _ClassVar[int]
    WITH_STATUSES_FIELD_NUMBER: _ClassVar[int]
    SPINE_ROWS_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    SPINE_ORIGIN_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    ERASURES_FIELD_NUMBER: _ClassVar[int]
    DELETED_AT_FIELD_NUMBER: _ClassVar[int]
    DELETED_BY_FIELD_NUMBER: _ClassVar[int]
    USE_FIELD_NUMBER: _ClassVar[int]
    GATES_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    CARRIED_TAGS_FIELD_NUMBER: _ClassVar[int]
    RELEASED_AT_FIELD_NUMBER: _ClassVar[int]
    RELEASED_BY_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    version: int
    state: DatasetState
    service: str
    service_version: int
    service_fingerprint: str
    views: _containers.RepeatedCompositeFieldContainer[ManifestView]
    position: int
    timestamp_column: str
    key_mapping: _containers.ScalarMap[str, str]
    purpose: str
    rows: int
    columns: _containers.RepeatedCompositeFieldContainer[ManifestColumn]
    spine_digest: str
    content_digest: str
    arrow_sha256: str
    arrow_writer: str
    principal: str
    created_at: _timestamp_pb2.Timestamp
    server_version: str
    on_demand: _containers.RepeatedCompositeFieldContainer[ManifestView]
    followed: _containers.ScalarMap[str, int]
    features: _containers.RepeatedScalarFieldContainer[str]
    joins: _containers.RepeatedCompositeFieldContainer[DatasetJoin]
    knowledge: KnowledgeMode
    may_leak: bool
    with_statuses: bool
    spine_rows: int
    left_out: _containers.RepeatedCompositeFieldContainer[LeftOut]
    partial: _containers.RepeatedCompositeFieldContainer[PartialCoverage]
    spine_origin: SpineOrigin
    versions: SoftwareVersions
    policy: AppliedPolicy
    erasures: _containers.RepeatedCompositeFieldContainer[Erasure]
    deleted_at: _timestamp_pb2.Timestamp
    deleted_by: str
    use: str
    gates: _containers.RepeatedCompositeFieldContainer[_approval_pb2.GateResult]
    held: str
    carried_tags: _containers.RepeatedCompositeFieldContainer[CarriedTag]
    released_at: _timestamp_pb2.Timestamp
    released_by: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[int] = ..., state: _Optional[_Union[DatasetState, str]] = ..., service: _Optional[str] = ..., service_version: _Optional[int] = ..., service_fingerprint: _Optional[str] = ..., views: _Optional[_Iterable[_Union[ManifestView, _Mapping]]] = ..., position: _Optional[int] = ..., timestamp_column: _Optional[str] = ..., key_mapping: _Optional[_Mapping[str, str]] = ..., purpose: _Optional[str] = ..., rows: _Optional[int] = ..., columns: _Optional[_Iterable[_Union[ManifestColumn, _Mapping]]] = ..., spine_digest: _Optional[str] = ..., content_digest: _Optional[str] = ..., arrow_sha256: _Optional[str] = ..., arrow_writer: _Optional[str] = ..., principal: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., server_version: _Optional[str] = ..., on_demand: _Optional[_Iterable[_Union[ManifestView, _Mapping]]] = ..., followed: _Optional[_Mapping[str, int]] = ..., features: _Optional[_Iterable[str]] = ..., joins: _Optional[_Iterable[_Union[DatasetJoin, _Mapping]]] = ..., knowledge: _Optional[_Union[KnowledgeMode, str]] = ..., may_leak: bool = ..., with_statuses: bool = ..., spine_rows: _Optional[int] = ..., left_out: _Optional[_Iterable[_Union[LeftOut, _Mapping]]] = ..., partial: _Optional[_Iterable[_Union[PartialCoverage, _Mapping]]] = ..., spine_origin: _Optional[_Union[SpineOrigin, _Mapping]] = ..., versions: _Optional[_Union[SoftwareVersions, _Mapping]] = ..., policy: _Optional[_Union[AppliedPolicy, _Mapping]] = ..., erasures: _Optional[_Iterable[_Union[Erasure, _Mapping]]] = ..., deleted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., deleted_by: _Optional[str] = ..., use: _Optional[str] = ..., gates: _Optional[_Iterable[_Union[_approval_pb2.GateResult, _Mapping]]] = ..., held: _Optional[str] = ..., carried_tags: _Optional[_Iterable[_Union[CarriedTag, _Mapping]]] = ..., released_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., released_by: _Optional[str] = ...) -> None: ...

class CarriedTag(_message.Message):
    __slots__ = ("tag", "column")
    TAG_FIELD_NUMBER: _ClassVar[int]
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    tag: str
    column: str
    def __init__(self, tag: _Optional[str] = ..., column: _Optional[str] = ..., **kwargs) -> None: ...

class LeftOut(_message.Message):
    __slots__ = ("rule", "rows")
    RULE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    rule: LeaveOutRule
    rows: int
    def __init__(self, rule: _Optional[_Union[LeaveOutRule, _Mapping]] = ..., rows: _Optional[int] = ...) -> None: ...

class PartialCoverage(_message.Message):
    __slots__ = ("view", "view_version", "rows", "first", "last")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    VIEW_VERSION_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    view: str
    view_version: int
    rows: int
    first: _timestamp_pb2.Timestamp
    last: _timestamp_pb2.Timestamp
    def __init__(self, view: _Optional[str] = ..., view_version: _Optional[int] = ..., rows: _Optional[int] = ..., first: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SpineOrigin(_message.Message):
    __slots__ = ("sql", "events", "sources")
    SQL_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    sql: str
    events: SpineEvents
    sources: _containers.RepeatedCompositeFieldContainer[SpineSource]
    def __init__(self, sql: _Optional[str] = ..., events: _Optional[_Union[SpineEvents, _Mapping]] = ..., sources: _Optional[_Iterable[_Union[SpineSource, _Mapping]]] = ...) -> None: ...

class SpineSource(_message.Message):
    __slots__ = ("source", "version", "fingerprint", "load_number", "rows_read", "left_out", "rules")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    LOAD_NUMBER_FIELD_NUMBER: _ClassVar[int]
    ROWS_READ_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    source: str
    version: int
    fingerprint: str
    load_number: int
    rows_read: int
    left_out: _containers.RepeatedCompositeFieldContainer[SourceLeftOut]
    rules: _containers.RepeatedCompositeFieldContainer[_access_pb2.AppliedRule]
    def __init__(self, source: _Optional[str] = ..., version: _Optional[int] = ..., fingerprint: _Optional[str] = ..., load_number: _Optional[int] = ..., rows_read: _Optional[int] = ..., left_out: _Optional[_Iterable[_Union[SourceLeftOut, _Mapping]]] = ..., rules: _Optional[_Iterable[_Union[_access_pb2.AppliedRule, _Mapping]]] = ...) -> None: ...

class SourceLeftOut(_message.Message):
    __slots__ = ("bucket", "reason", "rows")
    BUCKET_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    bucket: str
    reason: str
    rows: int
    def __init__(self, bucket: _Optional[str] = ..., reason: _Optional[str] = ..., rows: _Optional[int] = ...) -> None: ...

class SoftwareVersions(_message.Message):
    __slots__ = ("server", "cel", "tzdata", "postgres")
    SERVER_FIELD_NUMBER: _ClassVar[int]
    CEL_FIELD_NUMBER: _ClassVar[int]
    TZDATA_FIELD_NUMBER: _ClassVar[int]
    POSTGRES_FIELD_NUMBER: _ClassVar[int]
    server: str
    cel: str
    tzdata: str
    postgres: str
    def __init__(self, server: _Optional[str] = ..., cel: _Optional[str] = ..., tzdata: _Optional[str] = ..., postgres: _Optional[str] = ...) -> None: ...

class AppliedPolicy(_message.Message):
    __slots__ = ("roles", "rules", "attributes", "withheld")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _access_pb2.AttributeValues
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_access_pb2.AttributeValues, _Mapping]] = ...) -> None: ...
    ROLES_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    WITHHELD_FIELD_NUMBER: _ClassVar[int]
    roles: _containers.RepeatedScalarFieldContainer[str]
    rules: _containers.RepeatedCompositeFieldContainer[_access_pb2.AppliedRule]
    attributes: _containers.MessageMap[str, _access_pb2.AttributeValues]
    withheld: bool
    def __init__(self, roles: _Optional[_Iterable[str]] = ..., rules: _Optional[_Iterable[_Union[_access_pb2.AppliedRule, _Mapping]]] = ..., attributes: _Optional[_Mapping[str, _access_pb2.AttributeValues]] = ..., withheld: bool = ...) -> None: ...

class Erasure(_message.Message):
    __slots__ = ("id", "time", "principal", "reason", "rows", "old_digest", "new_digest", "old_spine_digest", "new_spine_digest")
    ID_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    OLD_DIGEST_FIELD_NUMBER: _ClassVar[int]
    NEW_DIGEST_FIELD_NUMBER: _ClassVar[int]
    OLD_SPINE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    NEW_SPINE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    id: str
    time: _timestamp_pb2.Timestamp
    principal: str
    reason: str
    rows: int
    old_digest: str
    new_digest: str
    old_spine_digest: str
    new_spine_digest: str
    def __init__(self, id: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., principal: _Optional[str] = ..., reason: _Optional[str] = ..., rows: _Optional[int] = ..., old_digest: _Optional[str] = ..., new_digest: _Optional[str] = ..., old_spine_digest: _Optional[str] = ..., new_spine_digest: _Optional[str] = ...) -> None: ...

class ManifestView(_message.Message):
    __slots__ = ("view", "version", "fingerprint", "seq", "covered_from", "covered_to", "runs")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    COVERED_FROM_FIELD_NUMBER: _ClassVar[int]
    COVERED_TO_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    view: str
    version: int
    fingerprint: str
    seq: int
    covered_from: _timestamp_pb2.Timestamp
    covered_to: _timestamp_pb2.Timestamp
    runs: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, view: _Optional[str] = ..., version: _Optional[int] = ..., fingerprint: _Optional[str] = ..., seq: _Optional[int] = ..., covered_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., covered_to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., runs: _Optional[_Iterable[int]] = ...) -> None: ...

class ManifestColumn(_message.Message):
    __slots__ = ("name", "type", "origin", "nulls", "statuses", "type_name", "summary")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    NULLS_FIELD_NUMBER: _ClassVar[int]
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    TYPE_NAME_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: _value_pb2.ValueType
    origin: str
    nulls: int
    statuses: _containers.RepeatedCompositeFieldContainer[StatusCount]
    type_name: str
    summary: ColumnSummary
    def __init__(self, name: _Optional[str] = ..., type: _Optional[_Union[_value_pb2.ValueType, str]] = ..., origin: _Optional[str] = ..., nulls: _Optional[int] = ..., statuses: _Optional[_Iterable[_Union[StatusCount, _Mapping]]] = ..., type_name: _Optional[str] = ..., summary: _Optional[_Union[ColumnSummary, _Mapping]] = ...) -> None: ...

class ColumnSummary(_message.Message):
    __slots__ = ("min", "max", "mean", "nans", "distinct")
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    NANS_FIELD_NUMBER: _ClassVar[int]
    DISTINCT_FIELD_NUMBER: _ClassVar[int]
    min: _value_pb2.Value
    max: _value_pb2.Value
    mean: float
    nans: int
    distinct: int
    def __init__(self, min: _Optional[_Union[_value_pb2.Value, _Mapping]] = ..., max: _Optional[_Union[_value_pb2.Value, _Mapping]] = ..., mean: _Optional[float] = ..., nans: _Optional[int] = ..., distinct: _Optional[int] = ...) -> None: ...

class StatusCount(_message.Message):
    __slots__ = ("status", "rows")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    status: _value_pb2.ValueStatus
    rows: int
    def __init__(self, status: _Optional[_Union[_value_pb2.ValueStatus, str]] = ..., rows: _Optional[int] = ...) -> None: ...

class FetchDatasetRequest(_message.Message):
    __slots__ = ("dataset", "accept_erased", "purpose", "use")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_ERASED_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    USE_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    accept_erased: bool
    purpose: str
    use: str
    def __init__(self, dataset: _Optional[str] = ..., accept_erased: bool = ..., purpose: _Optional[str] = ..., use: _Optional[str] = ...) -> None: ...

class FetchDatasetResponse(_message.Message):
    __slots__ = ("arrow", "manifest")
    ARROW_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    arrow: bytes
    manifest: Manifest
    def __init__(self, arrow: _Optional[bytes] = ..., manifest: _Optional[_Union[Manifest, _Mapping]] = ...) -> None: ...

class VerifyDatasetRequest(_message.Message):
    __slots__ = ("dataset", "purpose")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    purpose: str
    def __init__(self, dataset: _Optional[str] = ..., purpose: _Optional[str] = ...) -> None: ...

class VerifyDatasetResponse(_message.Message):
    __slots__ = ("manifest", "same", "found_content_digest", "found_arrow_sha256", "differences", "verdict")
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    SAME_FIELD_NUMBER: _ClassVar[int]
    FOUND_CONTENT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    FOUND_ARROW_SHA256_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    manifest: Manifest
    same: bool
    found_content_digest: str
    found_arrow_sha256: str
    differences: _containers.RepeatedScalarFieldContainer[str]
    verdict: DatasetVerdict
    def __init__(self, manifest: _Optional[_Union[Manifest, _Mapping]] = ..., same: bool = ..., found_content_digest: _Optional[str] = ..., found_arrow_sha256: _Optional[str] = ..., differences: _Optional[_Iterable[str]] = ..., verdict: _Optional[_Union[DatasetVerdict, str]] = ...) -> None: ...

class GetDatasetRequest(_message.Message):
    __slots__ = ("dataset",)
    DATASET_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    def __init__(self, dataset: _Optional[str] = ...) -> None: ...

class GetDatasetResponse(_message.Message):
    __slots__ = ("manifest",)
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    manifest: Manifest
    def __init__(self, manifest: _Optional[_Union[Manifest, _Mapping]] = ...) -> None: ...

class ListDatasetsRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListDatasetsResponse(_message.Message):
    __slots__ = ("datasets",)
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    datasets: _containers.RepeatedCompositeFieldContainer[Manifest]
    def __init__(self, datasets: _Optional[_Iterable[_Union[Manifest, _Mapping]]] = ...) -> None: ...

class DiffDatasetsRequest(_message.Message):
    __slots__ = ("a", "b", "examples", "purpose")
    A_FIELD_NUMBER: _ClassVar[int]
    B_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    a: str
    b: str
    examples: int
    purpose: str
    def __init__(self, a: _Optional[str] = ..., b: _Optional[str] = ..., examples: _Optional[int] = ..., purpose: _Optional[str] = ...) -> None: ...

class DiffDatasetsResponse(_message.Message):
    __slots__ = ("a", "b", "same", "matched_by", "rows_both", "rows_only_a", "rows_only_b", "rows_differ", "columns_only_a", "columns_only_b", "columns", "examples")
    A_FIELD_NUMBER: _ClassVar[int]
    B_FIELD_NUMBER: _ClassVar[int]
    SAME_FIELD_NUMBER: _ClassVar[int]
    MATCHED_BY_FIELD_NUMBER: _ClassVar[int]
    ROWS_BOTH_FIELD_NUMBER: _ClassVar[int]
    ROWS_ONLY_A_FIELD_NUMBER: _ClassVar[int]
    ROWS_ONLY_B_FIELD_NUMBER: _ClassVar[int]
    ROWS_DIFFER_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_ONLY_A_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_ONLY_B_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    a: Manifest
    b: Manifest
    same: bool
    matched_by: str
    rows_both: int
    rows_only_a: int
    rows_only_b: int
    rows_differ: int
    columns_only_a: _containers.RepeatedScalarFieldContainer[str]
    columns_only_b: _containers.RepeatedScalarFieldContainer[str]
    columns: _containers.RepeatedCompositeFieldContainer[ColumnDifference]
    examples: _containers.RepeatedCompositeFieldContainer[RowDifference]
    def __init__(self, a: _Optional[_Union[Manifest, _Mapping]] = ..., b: _Optional[_Union[Manifest, _Mapping]] = ..., same: bool = ..., matched_by: _Optional[str] = ..., rows_both: _Optional[int] = ..., rows_only_a: _Optional[int] = ..., rows_only_b: _Optional[int] = ..., rows_differ: _Optional[int] = ..., columns_only_a: _Optional[_Iterable[str]] = ..., columns_only_b: _Optional[_Iterable[str]] = ..., columns: _Optional[_Iterable[_Union[ColumnDifference, _Mapping]]] = ..., examples: _Optional[_Iterable[_Union[RowDifference, _Mapping]]] = ...) -> None: ...

class ColumnDifference(_message.Message):
    __slots__ = ("column", "rows", "type_a", "type_b", "runs")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    TYPE_A_FIELD_NUMBER: _ClassVar[int]
    TYPE_B_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    column: str
    rows: int
    type_a: str
    type_b: str
    runs: _containers.RepeatedCompositeFieldContainer[RunDifference]
    def __init__(self, column: _Optional[str] = ..., rows: _Optional[int] = ..., type_a: _Optional[str] = ..., type_b: _Optional[str] = ..., runs: _Optional[_Iterable[_Union[RunDifference, _Mapping]]] = ...) -> None: ...

class RunDifference(_message.Message):
    __slots__ = ("run_a", "run_b", "rows")
    RUN_A_FIELD_NUMBER: _ClassVar[int]
    RUN_B_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    run_a: str
    run_b: str
    rows: int
    def __init__(self, run_a: _Optional[str] = ..., run_b: _Optional[str] = ..., rows: _Optional[int] = ...) -> None: ...

class RowDifference(_message.Message):
    __slots__ = ("row_a", "row_b", "key", "values")
    class KeyEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _value_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_value_pb2.Value, _Mapping]] = ...) -> None: ...
    ROW_A_FIELD_NUMBER: _ClassVar[int]
    ROW_B_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    row_a: int
    row_b: int
    key: _containers.MessageMap[str, _value_pb2.Value]
    values: _containers.RepeatedCompositeFieldContainer[ValueDifference]
    def __init__(self, row_a: _Optional[int] = ..., row_b: _Optional[int] = ..., key: _Optional[_Mapping[str, _value_pb2.Value]] = ..., values: _Optional[_Iterable[_Union[ValueDifference, _Mapping]]] = ...) -> None: ...

class ValueDifference(_message.Message):
    __slots__ = ("column", "a", "b", "status_a", "status_b", "run_a", "run_b")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    A_FIELD_NUMBER: _ClassVar[int]
    B_FIELD_NUMBER: _ClassVar[int]
    STATUS_A_FIELD_NUMBER: _ClassVar[int]
    STATUS_B_FIELD_NUMBER: _ClassVar[int]
    RUN_A_FIELD_NUMBER: _ClassVar[int]
    RUN_B_FIELD_NUMBER: _ClassVar[int]
    column: str
    a: _value_pb2.Value
    b: _value_pb2.Value
    status_a: _value_pb2.ValueStatus
    status_b: _value_pb2.ValueStatus
    run_a: str
    run_b: str
    def __init__(self, column: _Optional[str] = ..., a: _Optional[_Union[_value_pb2.Value, _Mapping]] = ..., b: _Optional[_Union[_value_pb2.Value, _Mapping]] = ..., status_a: _Optional[_Union[_value_pb2.ValueStatus, str]] = ..., status_b: _Optional[_Union[_value_pb2.ValueStatus, str]] = ..., run_a: _Optional[str] = ..., run_b: _Optional[str] = ...) -> None: ...

class DeleteDatasetRequest(_message.Message):
    __slots__ = ("dataset", "reason")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    reason: str
    def __init__(self, dataset: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class DeleteDatasetResponse(_message.Message):
    __slots__ = ("manifest",)
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    manifest: Manifest
    def __init__(self, manifest: _Optional[_Union[Manifest, _Mapping]] = ...) -> None: ...

class ReleaseDatasetRequest(_message.Message):
    __slots__ = ("dataset",)
    DATASET_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    def __init__(self, dataset: _Optional[str] = ...) -> None: ...

class ReleaseDatasetResponse(_message.Message):
    __slots__ = ("manifest",)
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    manifest: Manifest
    def __init__(self, manifest: _Optional[_Union[Manifest, _Mapping]] = ...) -> None: ...

class ApproveDatasetRequest(_message.Message):
    __slots__ = ("dataset", "gate", "reason", "expires_at")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    GATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    gate: str
    reason: str
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, dataset: _Optional[str] = ..., gate: _Optional[str] = ..., reason: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ApproveDatasetResponse(_message.Message):
    __slots__ = ("approval", "manifest")
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    approval: _approval_pb2.Approval
    manifest: Manifest
    def __init__(self, approval: _Optional[_Union[_approval_pb2.Approval, _Mapping]] = ..., manifest: _Optional[_Union[Manifest, _Mapping]] = ...) -> None: ...
