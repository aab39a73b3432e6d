import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DefinitionFile(_message.Message):
    __slots__ = ("entities", "sources", "feature_views", "feature_services", "roles", "tests", "policies", "consumers")
    ENTITIES_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    FEATURE_VIEWS_FIELD_NUMBER: _ClassVar[int]
    FEATURE_SERVICES_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    TESTS_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    CONSUMERS_FIELD_NUMBER: _ClassVar[int]
    entities: _containers.RepeatedCompositeFieldContainer[Entity]
    sources: _containers.RepeatedCompositeFieldContainer[Source]
    feature_views: _containers.RepeatedCompositeFieldContainer[FeatureView]
    feature_services: _containers.RepeatedCompositeFieldContainer[FeatureService]
    roles: _containers.RepeatedCompositeFieldContainer[Role]
    tests: _containers.RepeatedCompositeFieldContainer[DefinitionTest]
    policies: _containers.RepeatedCompositeFieldContainer[Policy]
    consumers: _containers.RepeatedCompositeFieldContainer[Consumer]
    def __init__(self, entities: _Optional[_Iterable[_Union[Entity, _Mapping]]] = ..., sources: _Optional[_Iterable[_Union[Source, _Mapping]]] = ..., feature_views: _Optional[_Iterable[_Union[FeatureView, _Mapping]]] = ..., feature_services: _Optional[_Iterable[_Union[FeatureService, _Mapping]]] = ..., roles: _Optional[_Iterable[_Union[Role, _Mapping]]] = ..., tests: _Optional[_Iterable[_Union[DefinitionTest, _Mapping]]] = ..., policies: _Optional[_Iterable[_Union[Policy, _Mapping]]] = ..., consumers: _Optional[_Iterable[_Union[Consumer, _Mapping]]] = ...) -> None: ...

class Deprecation(_message.Message):
    __slots__ = ("date", "replacement")
    DATE_FIELD_NUMBER: _ClassVar[int]
    REPLACEMENT_FIELD_NUMBER: _ClassVar[int]
    date: str
    replacement: str
    def __init__(self, date: _Optional[str] = ..., replacement: _Optional[str] = ...) -> None: ...

class Entity(_message.Message):
    __slots__ = ("name", "join_keys", "description", "owner", "tags", "deprecated")
    NAME_FIELD_NUMBER: _ClassVar[int]
    JOIN_KEYS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    DEPRECATED_FIELD_NUMBER: _ClassVar[int]
    name: str
    join_keys: _containers.RepeatedCompositeFieldContainer[JoinKey]
    description: str
    owner: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    deprecated: Deprecation
    def __init__(self, name: _Optional[str] = ..., join_keys: _Optional[_Iterable[_Union[JoinKey, _Mapping]]] = ..., description: _Optional[str] = ..., owner: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., deprecated: _Optional[_Union[Deprecation, _Mapping]] = ...) -> None: ...

class JoinKey(_message.Message):
    __slots__ = ("name", "type", "description", "tags")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: str
    description: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., type: _Optional[str] = ..., description: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ...) -> None: ...

class Source(_message.Message):
    __slots__ = ("name", "columns", "event_time", "arrival_time", "landing", "postgres", "corrections", "description", "owner", "tags", "unique_key", "duplicates", "schema_changes", "freshness", "deprecated", "expectations", "max_quarantine_ratio", "allowed_lateness", "null_event_time", "delete_marker")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    ARRIVAL_TIME_FIELD_NUMBER: _ClassVar[int]
    LANDING_FIELD_NUMBER: _ClassVar[int]
    POSTGRES_FIELD_NUMBER: _ClassVar[int]
    CORRECTIONS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    UNIQUE_KEY_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_CHANGES_FIELD_NUMBER: _ClassVar[int]
    FRESHNESS_FIELD_NUMBER: _ClassVar[int]
    DEPRECATED_FIELD_NUMBER: _ClassVar[int]
    EXPECTATIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_QUARANTINE_RATIO_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_LATENESS_FIELD_NUMBER: _ClassVar[int]
    NULL_EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    DELETE_MARKER_FIELD_NUMBER: _ClassVar[int]
    name: str
    columns: _containers.RepeatedCompositeFieldContainer[Column]
    event_time: str
    arrival_time: ArrivalTime
    landing: LandingOrigin
    postgres: PostgresOrigin
    corrections: str
    description: str
    owner: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    unique_key: _containers.RepeatedScalarFieldContainer[str]
    duplicates: Duplicates
    schema_changes: str
    freshness: _duration_pb2.Duration
    deprecated: Deprecation
    expectations: _containers.RepeatedCompositeFieldContainer[Expectation]
    max_quarantine_ratio: float
    allowed_lateness: _duration_pb2.Duration
    null_event_time: str
    delete_marker: str
    def __init__(self, name: _Optional[str] = ..., columns: _Optional[_Iterable[_Union[Column, _Mapping]]] = ..., event_time: _Optional[str] = ..., arrival_time: _Optional[_Union[ArrivalTime, _Mapping]] = ..., landing: _Optional[_Union[LandingOrigin, _Mapping]] = ..., postgres: _Optional[_Union[PostgresOrigin, _Mapping]] = ..., corrections: _Optional[str] = ..., description: _Optional[str] = ..., owner: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., unique_key: _Optional[_Iterable[str]] = ..., duplicates: _Optional[_Union[Duplicates, _Mapping]] = ..., schema_changes: _Optional[str] = ..., freshness: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., deprecated: _Optional[_Union[Deprecation, _Mapping]] = ..., expectations: _Optional[_Iterable[_Union[Expectation, _Mapping]]] = ..., max_quarantine_ratio: _Optional[float] = ..., allowed_lateness: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., null_event_time: _Optional[str] = ..., delete_marker: _Optional[str] = ...) -> None: ...

class Expectation(_message.Message):
    __slots__ = ("name", "column", "not_null", "range", "accepted_values", "regex", "length", "plausible", "references", "cel", "unique", "row_count", "row_count_ratio", "freshness", "completeness", "completeness_change", "distinct_ratio", "mean", "quantile", "schema_unchanged", "entities_kept", "rows_kept", "on_failure", "warn_above", "error_above", "warn", "error", "description")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    NOT_NULL_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_VALUES_FIELD_NUMBER: _ClassVar[int]
    REGEX_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    PLAUSIBLE_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_FIELD_NUMBER: _ClassVar[int]
    CEL_FIELD_NUMBER: _ClassVar[int]
    UNIQUE_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_RATIO_FIELD_NUMBER: _ClassVar[int]
    FRESHNESS_FIELD_NUMBER: _ClassVar[int]
    COMPLETENESS_FIELD_NUMBER: _ClassVar[int]
    COMPLETENESS_CHANGE_FIELD_NUMBER: _ClassVar[int]
    DISTINCT_RATIO_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    QUANTILE_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    ENTITIES_KEPT_FIELD_NUMBER: _ClassVar[int]
    ROWS_KEPT_FIELD_NUMBER: _ClassVar[int]
    ON_FAILURE_FIELD_NUMBER: _ClassVar[int]
    WARN_ABOVE_FIELD_NUMBER: _ClassVar[int]
    ERROR_ABOVE_FIELD_NUMBER: _ClassVar[int]
    WARN_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    column: str
    not_null: NotNull
    range: ValueRange
    accepted_values: AcceptedValues
    regex: str
    length: LengthRange
    plausible: Plausible
    references: References
    cel: str
    unique: UniqueColumns
    row_count: RowCount
    row_count_ratio: AgainstEarlier
    freshness: Freshness
    completeness: Completeness
    completeness_change: AgainstEarlier
    distinct_ratio: DistinctRatio
    mean: Mean
    quantile: Quantile
    schema_unchanged: SchemaUnchanged
    entities_kept: EntitiesKept
    rows_kept: RowsKept
    on_failure: str
    warn_above: float
    error_above: float
    warn: Bounds
    error: Bounds
    description: str
    def __init__(self, name: _Optional[str] = ..., column: _Optional[str] = ..., not_null: _Optional[_Union[NotNull, _Mapping]] = ..., range: _Optional[_Union[ValueRange, _Mapping]] = ..., accepted_values: _Optional[_Union[AcceptedValues, _Mapping]] = ..., regex: _Optional[str] = ..., length: _Optional[_Union[LengthRange, _Mapping]] = ..., plausible: _Optional[_Union[Plausible, _Mapping]] = ..., references: _Optional[_Union[References, _Mapping]] = ..., cel: _Optional[str] = ..., unique: _Optional[_Union[UniqueColumns, _Mapping]] = ..., row_count: _Optional[_Union[RowCount, _Mapping]] = ..., row_count_ratio: _Optional[_Union[AgainstEarlier, _Mapping]] = ..., freshness: _Optional[_Union[Freshness, _Mapping]] = ..., completeness: _Optional[_Union[Completeness, _Mapping]] = ..., completeness_change: _Optional[_Union[AgainstEarlier, _Mapping]] = ..., distinct_ratio: _Optional[_Union[DistinctRatio, _Mapping]] = ..., mean: _Optional[_Union[Mean, _Mapping]] = ..., quantile: _Optional[_Union[Quantile, _Mapping]] = ..., schema_unchanged: _Optional[_Union[SchemaUnchanged, _Mapping]] = ..., entities_kept: _Optional[_Union[EntitiesKept, _Mapping]] = ..., rows_kept: _Optional[_Union[RowsKept, _Mapping]] = ..., on_failure: _Optional[str] = ..., warn_above: _Optional[float] = ..., error_above: _Optional[float] = ..., warn: _Optional[_Union[Bounds, _Mapping]] = ..., error: _Optional[_Union[Bounds, _Mapping]] = ..., description: _Optional[str] = ...) -> None: ...

class Bounds(_message.Message):
    __slots__ = ("min", "max")
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    min: float
    max: float
    def __init__(self, min: _Optional[float] = ..., max: _Optional[float] = ...) -> None: ...

class NotNull(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ValueRange(_message.Message):
    __slots__ = ("min", "max")
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    min: _struct_pb2.Value
    max: _struct_pb2.Value
    def __init__(self, min: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., max: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ...) -> None: ...

class AcceptedValues(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[_struct_pb2.Value]
    def __init__(self, values: _Optional[_Iterable[_Union[_struct_pb2.Value, _Mapping]]] = ...) -> None: ...

class LengthRange(_message.Message):
    __slots__ = ("min", "max")
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    min: int
    max: int
    def __init__(self, min: _Optional[int] = ..., max: _Optional[int] = ...) -> None: ...

class Plausible(_message.Message):
    __slots__ = ("future", "not_before")
    FUTURE_FIELD_NUMBER: _ClassVar[int]
    NOT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    future: _duration_pb2.Duration
    not_before: _timestamp_pb2.Timestamp
    def __init__(self, future: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., not_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class References(_message.Message):
    __slots__ = ("source", "columns")
    class ColumnsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    source: str
    columns: _containers.ScalarMap[str, str]
    def __init__(self, source: _Optional[str] = ..., columns: _Optional[_Mapping[str, str]] = ...) -> None: ...

class UniqueColumns(_message.Message):
    __slots__ = ("columns",)
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    columns: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, columns: _Optional[_Iterable[str]] = ...) -> None: ...

class RowCount(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AgainstEarlier(_message.Message):
    __slots__ = ("runs",)
    RUNS_FIELD_NUMBER: _ClassVar[int]
    runs: int
    def __init__(self, runs: _Optional[int] = ...) -> None: ...

class Freshness(_message.Message):
    __slots__ = ("warn_after", "error_after")
    WARN_AFTER_FIELD_NUMBER: _ClassVar[int]
    ERROR_AFTER_FIELD_NUMBER: _ClassVar[int]
    warn_after: _duration_pb2.Duration
    error_after: _duration_pb2.Duration
    def __init__(self, warn_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., error_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Completeness(_message.Message):
    __slots__ = ("bucket",)
    BUCKET_FIELD_NUMBER: _ClassVar[int]
    bucket: _duration_pb2.Duration
    def __init__(self, bucket: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class DistinctRatio(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Mean(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Quantile(_message.Message):
    __slots__ = ("q",)
    Q_FIELD_NUMBER: _ClassVar[int]
    q: float
    def __init__(self, q: _Optional[float] = ...) -> None: ...

class SchemaUnchanged(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class EntitiesKept(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RowsKept(_message.Message):
    __slots__ = ("bucket",)
    BUCKET_FIELD_NUMBER: _ClassVar[int]
    bucket: _duration_pb2.Duration
    def __init__(self, bucket: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class LandingOrigin(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PostgresOrigin(_message.Message):
    __slots__ = ("database", "schema", "table", "change_column", "reread", "reread_rows", "snapshot")
    DATABASE_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    CHANGE_COLUMN_FIELD_NUMBER: _ClassVar[int]
    REREAD_FIELD_NUMBER: _ClassVar[int]
    REREAD_ROWS_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    database: str
    schema: str
    table: str
    change_column: str
    reread: _duration_pb2.Duration
    reread_rows: int
    snapshot: bool
    def __init__(self, database: _Optional[str] = ..., schema: _Optional[str] = ..., table: _Optional[str] = ..., change_column: _Optional[str] = ..., reread: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., reread_rows: _Optional[int] = ..., snapshot: bool = ...) -> None: ...

class Duplicates(_message.Message):
    __slots__ = ("exact", "conflicting")
    EXACT_FIELD_NUMBER: _ClassVar[int]
    CONFLICTING_FIELD_NUMBER: _ClassVar[int]
    exact: str
    conflicting: str
    def __init__(self, exact: _Optional[str] = ..., conflicting: _Optional[str] = ...) -> None: ...

class ArrivalTime(_message.Message):
    __slots__ = ("column", "expression")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    column: str
    expression: str
    def __init__(self, column: _Optional[str] = ..., expression: _Optional[str] = ...) -> None: ...

class Column(_message.Message):
    __slots__ = ("name", "type", "description", "tags", "deprecated")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    DEPRECATED_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: str
    description: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    deprecated: Deprecation
    def __init__(self, name: _Optional[str] = ..., type: _Optional[str] = ..., description: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., deprecated: _Optional[_Union[Deprecation, _Mapping]] = ...) -> None: ...

class FeatureView(_message.Message):
    __slots__ = ("name", "entity", "features", "attributes", "ttl", "grain", "lookback", "sql", "aggregation", "on_demand", "push", "description", "owner", "tags", "deprecated", "expectations", "max_quarantine_ratio", "schedule", "freshness", "cache", "declassify", "drift", "gates")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    GRAIN_FIELD_NUMBER: _ClassVar[int]
    LOOKBACK_FIELD_NUMBER: _ClassVar[int]
    SQL_FIELD_NUMBER: _ClassVar[int]
    AGGREGATION_FIELD_NUMBER: _ClassVar[int]
    ON_DEMAND_FIELD_NUMBER: _ClassVar[int]
    PUSH_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    DEPRECATED_FIELD_NUMBER: _ClassVar[int]
    EXPECTATIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_QUARANTINE_RATIO_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    FRESHNESS_FIELD_NUMBER: _ClassVar[int]
    CACHE_FIELD_NUMBER: _ClassVar[int]
    DECLASSIFY_FIELD_NUMBER: _ClassVar[int]
    DRIFT_FIELD_NUMBER: _ClassVar[int]
    GATES_FIELD_NUMBER: _ClassVar[int]
    name: str
    entity: str
    features: _containers.RepeatedCompositeFieldContainer[Feature]
    attributes: _containers.RepeatedCompositeFieldContainer[Feature]
    ttl: _duration_pb2.Duration
    grain: _duration_pb2.Duration
    lookback: _duration_pb2.Duration
    sql: SqlTransform
    aggregation: AggregationTransform
    on_demand: OnDemandTransform
    push: PushTransform
    description: str
    owner: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    deprecated: Deprecation
    expectations: _containers.RepeatedCompositeFieldContainer[Expectation]
    max_quarantine_ratio: float
    schedule: Schedule
    freshness: ViewFreshness
    cache: _duration_pb2.Duration
    declassify: _containers.RepeatedCompositeFieldContainer[Declassification]
    drift: DriftRule
    gates: ViewGates
    def __init__(self, name: _Optional[str] = ..., entity: _Optional[str] = ..., features: _Optional[_Iterable[_Union[Feature, _Mapping]]] = ..., attributes: _Optional[_Iterable[_Union[Feature, _Mapping]]] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., grain: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., lookback: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., sql: _Optional[_Union[SqlTransform, _Mapping]] = ..., aggregation: _Optional[_Union[AggregationTransform, _Mapping]] = ..., on_demand: _Optional[_Union[OnDemandTransform, _Mapping]] = ..., push: _Optional[_Union[PushTransform, _Mapping]] = ..., description: _Optional[str] = ..., owner: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., deprecated: _Optional[_Union[Deprecation, _Mapping]] = ..., expectations: _Optional[_Iterable[_Union[Expectation, _Mapping]]] = ..., max_quarantine_ratio: _Optional[float] = ..., schedule: _Optional[_Union[Schedule, _Mapping]] = ..., freshness: _Optional[_Union[ViewFreshness, _Mapping]] = ..., cache: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., declassify: _Optional[_Iterable[_Union[Declassification, _Mapping]]] = ..., drift: _Optional[_Union[DriftRule, _Mapping]] = ..., gates: _Optional[_Union[ViewGates, _Mapping]] = ...) -> None: ...

class ViewGates(_message.Message):
    __slots__ = ("publish",)
    PUBLISH_FIELD_NUMBER: _ClassVar[int]
    publish: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, publish: _Optional[_Iterable[str]] = ...) -> None: ...

class DriftRule(_message.Message):
    __slots__ = ("warn", "fail", "columns")
    WARN_FIELD_NUMBER: _ClassVar[int]
    FAIL_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    warn: float
    fail: float
    columns: _containers.RepeatedCompositeFieldContainer[ColumnDriftRule]
    def __init__(self, warn: _Optional[float] = ..., fail: _Optional[float] = ..., columns: _Optional[_Iterable[_Union[ColumnDriftRule, _Mapping]]] = ...) -> None: ...

class ColumnDriftRule(_message.Message):
    __slots__ = ("column", "warn", "fail")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    WARN_FIELD_NUMBER: _ClassVar[int]
    FAIL_FIELD_NUMBER: _ClassVar[int]
    column: str
    warn: float
    fail: float
    def __init__(self, column: _Optional[str] = ..., warn: _Optional[float] = ..., fail: _Optional[float] = ...) -> None: ...

class ViewFreshness(_message.Message):
    __slots__ = ("max_age", "policy")
    MAX_AGE_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    max_age: _duration_pb2.Duration
    policy: str
    def __init__(self, max_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., policy: _Optional[str] = ...) -> None: ...

class Schedule(_message.Message):
    __slots__ = ("cron", "after_inputs", "priority", "attempts")
    CRON_FIELD_NUMBER: _ClassVar[int]
    AFTER_INPUTS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    cron: str
    after_inputs: bool
    priority: int
    attempts: int
    def __init__(self, cron: _Optional[str] = ..., after_inputs: bool = ..., priority: _Optional[int] = ..., attempts: _Optional[int] = ...) -> None: ...

class PushTransform(_message.Message):
    __slots__ = ("source", "keys")
    class KeysEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    source: str
    keys: _containers.ScalarMap[str, str]
    def __init__(self, source: _Optional[str] = ..., keys: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Feature(_message.Message):
    __slots__ = ("name", "type", "description", "tags", "deprecated")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    DEPRECATED_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: str
    description: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    deprecated: Deprecation
    def __init__(self, name: _Optional[str] = ..., type: _Optional[str] = ..., description: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., deprecated: _Optional[_Union[Deprecation, _Mapping]] = ...) -> None: ...

class SqlTransform(_message.Message):
    __slots__ = ("sources", "query", "views", "functions")
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    FUNCTIONS_FIELD_NUMBER: _ClassVar[int]
    sources: _containers.RepeatedScalarFieldContainer[str]
    query: str
    views: _containers.RepeatedScalarFieldContainer[str]
    functions: _containers.RepeatedCompositeFieldContainer[FunctionAllowance]
    def __init__(self, sources: _Optional[_Iterable[str]] = ..., query: _Optional[str] = ..., views: _Optional[_Iterable[str]] = ..., functions: _Optional[_Iterable[_Union[FunctionAllowance, _Mapping]]] = ...) -> None: ...

class FunctionAllowance(_message.Message):
    __slots__ = ("function", "reason")
    FUNCTION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    function: str
    reason: str
    def __init__(self, function: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class AggregationTransform(_message.Message):
    __slots__ = ("source", "keys", "hop", "where", "aggregates")
    class KeysEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    HOP_FIELD_NUMBER: _ClassVar[int]
    WHERE_FIELD_NUMBER: _ClassVar[int]
    AGGREGATES_FIELD_NUMBER: _ClassVar[int]
    source: str
    keys: _containers.ScalarMap[str, str]
    hop: _duration_pb2.Duration
    where: str
    aggregates: _containers.RepeatedCompositeFieldContainer[Aggregate]
    def __init__(self, source: _Optional[str] = ..., keys: _Optional[_Mapping[str, str]] = ..., hop: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., where: _Optional[str] = ..., aggregates: _Optional[_Iterable[_Union[Aggregate, _Mapping]]] = ...) -> None: ...

class Aggregate(_message.Message):
    __slots__ = ("feature", "function", "column", "window", "where", "quantile", "relative_error")
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_FIELD_NUMBER: _ClassVar[int]
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    WHERE_FIELD_NUMBER: _ClassVar[int]
    QUANTILE_FIELD_NUMBER: _ClassVar[int]
    RELATIVE_ERROR_FIELD_NUMBER: _ClassVar[int]
    feature: str
    function: str
    column: str
    window: _duration_pb2.Duration
    where: str
    quantile: float
    relative_error: float
    def __init__(self, feature: _Optional[str] = ..., function: _Optional[str] = ..., column: _Optional[str] = ..., window: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., where: _Optional[str] = ..., quantile: _Optional[float] = ..., relative_error: _Optional[float] = ...) -> None: ...

class OnDemandTransform(_message.Message):
    __slots__ = ("inputs", "views", "expressions")
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    EXPRESSIONS_FIELD_NUMBER: _ClassVar[int]
    inputs: _containers.RepeatedCompositeFieldContainer[RequestInput]
    views: _containers.RepeatedScalarFieldContainer[str]
    expressions: _containers.RepeatedCompositeFieldContainer[OnDemandExpression]
    def __init__(self, inputs: _Optional[_Iterable[_Union[RequestInput, _Mapping]]] = ..., views: _Optional[_Iterable[str]] = ..., expressions: _Optional[_Iterable[_Union[OnDemandExpression, _Mapping]]] = ...) -> None: ...

class RequestInput(_message.Message):
    __slots__ = ("name", "type", "description", "tags")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: str
    description: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., type: _Optional[str] = ..., description: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ...) -> None: ...

class OnDemandExpression(_message.Message):
    __slots__ = ("feature", "cel")
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    CEL_FIELD_NUMBER: _ClassVar[int]
    feature: str
    cel: str
    def __init__(self, feature: _Optional[str] = ..., cel: _Optional[str] = ...) -> None: ...

class FeatureService(_message.Message):
    __slots__ = ("name", "views", "serves_as_grant", "description", "owner", "tags", "deprecated", "log", "gates", "labels")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    SERVES_AS_GRANT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    DEPRECATED_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    GATES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    name: str
    views: _containers.RepeatedCompositeFieldContainer[ServiceView]
    serves_as_grant: bool
    description: str
    owner: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    deprecated: Deprecation
    log: str
    gates: ServiceGates
    labels: _containers.RepeatedCompositeFieldContainer[Label]
    def __init__(self, name: _Optional[str] = ..., views: _Optional[_Iterable[_Union[ServiceView, _Mapping]]] = ..., serves_as_grant: bool = ..., description: _Optional[str] = ..., owner: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., deprecated: _Optional[_Union[Deprecation, _Mapping]] = ..., log: _Optional[str] = ..., gates: _Optional[_Union[ServiceGates, _Mapping]] = ..., labels: _Optional[_Iterable[_Union[Label, _Mapping]]] = ...) -> None: ...

class ServiceGates(_message.Message):
    __slots__ = ("release", "serve")
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    SERVE_FIELD_NUMBER: _ClassVar[int]
    release: _containers.RepeatedScalarFieldContainer[str]
    serve: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, release: _Optional[_Iterable[str]] = ..., serve: _Optional[_Iterable[str]] = ...) -> None: ...

class Label(_message.Message):
    __slots__ = ("name", "type", "description", "tags")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: str
    description: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., type: _Optional[str] = ..., description: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ...) -> None: ...

class ServiceView(_message.Message):
    __slots__ = ("view", "features", "rename", "defaults")
    class RenameEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class DefaultsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _struct_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ...) -> None: ...
    VIEW_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    RENAME_FIELD_NUMBER: _ClassVar[int]
    DEFAULTS_FIELD_NUMBER: _ClassVar[int]
    view: str
    features: _containers.RepeatedScalarFieldContainer[str]
    rename: _containers.ScalarMap[str, str]
    defaults: _containers.MessageMap[str, _struct_pb2.Value]
    def __init__(self, view: _Optional[str] = ..., features: _Optional[_Iterable[str]] = ..., rename: _Optional[_Mapping[str, str]] = ..., defaults: _Optional[_Mapping[str, _struct_pb2.Value]] = ...) -> None: ...

class Role(_message.Message):
    __slots__ = ("name", "grants", "description", "owner", "tags", "deprecated", "attributes", "may_elevate_to", "max_elevation")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _struct_pb2.ListValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.ListValue, _Mapping]] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    GRANTS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    DEPRECATED_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    MAY_ELEVATE_TO_FIELD_NUMBER: _ClassVar[int]
    MAX_ELEVATION_FIELD_NUMBER: _ClassVar[int]
    name: str
    grants: _containers.RepeatedCompositeFieldContainer[Grant]
    description: str
    owner: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    deprecated: Deprecation
    attributes: _containers.MessageMap[str, _struct_pb2.ListValue]
    may_elevate_to: _containers.RepeatedScalarFieldContainer[str]
    max_elevation: _duration_pb2.Duration
    def __init__(self, name: _Optional[str] = ..., grants: _Optional[_Iterable[_Union[Grant, _Mapping]]] = ..., description: _Optional[str] = ..., owner: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., deprecated: _Optional[_Union[Deprecation, _Mapping]] = ..., attributes: _Optional[_Mapping[str, _struct_pb2.ListValue]] = ..., may_elevate_to: _Optional[_Iterable[str]] = ..., max_elevation: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Grant(_message.Message):
    __slots__ = ("actions", "resources", "effect")
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    actions: _containers.RepeatedScalarFieldContainer[str]
    resources: _containers.RepeatedScalarFieldContainer[str]
    effect: str
    def __init__(self, actions: _Optional[_Iterable[str]] = ..., resources: _Optional[_Iterable[str]] = ..., effect: _Optional[str] = ...) -> None: ...

class Policy(_message.Message):
    __slots__ = ("name", "resources", "roles", "except_roles", "row_filter", "mask", "require", "description", "owner", "tags", "deprecated")
    NAME_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    EXCEPT_ROLES_FIELD_NUMBER: _ClassVar[int]
    ROW_FILTER_FIELD_NUMBER: _ClassVar[int]
    MASK_FIELD_NUMBER: _ClassVar[int]
    REQUIRE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    DEPRECATED_FIELD_NUMBER: _ClassVar[int]
    name: str
    resources: _containers.RepeatedScalarFieldContainer[str]
    roles: _containers.RepeatedScalarFieldContainer[str]
    except_roles: _containers.RepeatedScalarFieldContainer[str]
    row_filter: str
    mask: Mask
    require: Requirement
    description: str
    owner: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    deprecated: Deprecation
    def __init__(self, name: _Optional[str] = ..., resources: _Optional[_Iterable[str]] = ..., roles: _Optional[_Iterable[str]] = ..., except_roles: _Optional[_Iterable[str]] = ..., row_filter: _Optional[str] = ..., mask: _Optional[_Union[Mask, _Mapping]] = ..., require: _Optional[_Union[Requirement, _Mapping]] = ..., description: _Optional[str] = ..., owner: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., deprecated: _Optional[_Union[Deprecation, _Mapping]] = ...) -> None: ...

class Mask(_message.Message):
    __slots__ = ("redact", "constant", "hash", "partial", "round", "bucket", "truncate", "compute_unmasked")
    REDACT_FIELD_NUMBER: _ClassVar[int]
    CONSTANT_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    BUCKET_FIELD_NUMBER: _ClassVar[int]
    TRUNCATE_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_UNMASKED_FIELD_NUMBER: _ClassVar[int]
    redact: Redact
    constant: _struct_pb2.Value
    hash: HashMask
    partial: PartialMask
    round: RoundMask
    bucket: BucketMask
    truncate: TruncateMask
    compute_unmasked: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, redact: _Optional[_Union[Redact, _Mapping]] = ..., constant: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., hash: _Optional[_Union[HashMask, _Mapping]] = ..., partial: _Optional[_Union[PartialMask, _Mapping]] = ..., round: _Optional[_Union[RoundMask, _Mapping]] = ..., bucket: _Optional[_Union[BucketMask, _Mapping]] = ..., truncate: _Optional[_Union[TruncateMask, _Mapping]] = ..., compute_unmasked: _Optional[_Iterable[str]] = ...) -> None: ...

class Redact(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class HashMask(_message.Message):
    __slots__ = ("key", "per_purpose")
    KEY_FIELD_NUMBER: _ClassVar[int]
    PER_PURPOSE_FIELD_NUMBER: _ClassVar[int]
    key: str
    per_purpose: bool
    def __init__(self, key: _Optional[str] = ..., per_purpose: bool = ...) -> None: ...

class PartialMask(_message.Message):
    __slots__ = ("first", "last")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    WITH_FIELD_NUMBER: _ClassVar[int]
    first: int
    last: int
    def __init__(self, first: _Optional[int] = ..., last: _Optional[int] = ..., **kwargs) -> None: ...

class RoundMask(_message.Message):
    __slots__ = ("to",)
    TO_FIELD_NUMBER: _ClassVar[int]
    to: str
    def __init__(self, to: _Optional[str] = ...) -> None: ...

class BucketMask(_message.Message):
    __slots__ = ("bounds",)
    BOUNDS_FIELD_NUMBER: _ClassVar[int]
    bounds: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, bounds: _Optional[_Iterable[str]] = ...) -> None: ...

class TruncateMask(_message.Message):
    __slots__ = ("to",)
    TO_FIELD_NUMBER: _ClassVar[int]
    to: str
    def __init__(self, to: _Optional[str] = ...) -> None: ...

class Requirement(_message.Message):
    __slots__ = ("purposes", "uses", "regions", "licence")
    PURPOSES_FIELD_NUMBER: _ClassVar[int]
    USES_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    purposes: _containers.RepeatedScalarFieldContainer[str]
    uses: _containers.RepeatedScalarFieldContainer[str]
    regions: _containers.RepeatedScalarFieldContainer[str]
    licence: str
    def __init__(self, purposes: _Optional[_Iterable[str]] = ..., uses: _Optional[_Iterable[str]] = ..., regions: _Optional[_Iterable[str]] = ..., licence: _Optional[str] = ...) -> None: ...

class Consumer(_message.Message):
    __slots__ = ("name", "kind", "reads", "url", "description", "owner", "tags", "deprecated")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    READS_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    DEPRECATED_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    reads: ConsumerReads
    url: str
    description: str
    owner: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    deprecated: Deprecation
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., reads: _Optional[_Union[ConsumerReads, _Mapping]] = ..., url: _Optional[str] = ..., description: _Optional[str] = ..., owner: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., deprecated: _Optional[_Union[Deprecation, _Mapping]] = ...) -> None: ...

class ConsumerReads(_message.Message):
    __slots__ = ("services", "views", "features", "datasets", "models")
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    services: _containers.RepeatedScalarFieldContainer[str]
    views: _containers.RepeatedScalarFieldContainer[str]
    features: _containers.RepeatedScalarFieldContainer[str]
    datasets: _containers.RepeatedScalarFieldContainer[str]
    models: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, services: _Optional[_Iterable[str]] = ..., views: _Optional[_Iterable[str]] = ..., features: _Optional[_Iterable[str]] = ..., datasets: _Optional[_Iterable[str]] = ..., models: _Optional[_Iterable[str]] = ...) -> None: ...

class Declassification(_message.Message):
    __slots__ = ("column", "tags", "reason")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    column: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    reason: str
    def __init__(self, column: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., reason: _Optional[str] = ...) -> None: ...

class DefinitionTest(_message.Message):
    __slots__ = ("name", "description", "loads", "views", "answers", "refused", "definitions")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    LOADS_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    DEFINITIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    loads: _containers.RepeatedCompositeFieldContainer[TestLoad]
    views: _containers.RepeatedCompositeFieldContainer[TestView]
    answers: _containers.RepeatedCompositeFieldContainer[TestAnswer]
    refused: str
    definitions: DefinitionFile
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., loads: _Optional[_Iterable[_Union[TestLoad, _Mapping]]] = ..., views: _Optional[_Iterable[_Union[TestView, _Mapping]]] = ..., answers: _Optional[_Iterable[_Union[TestAnswer, _Mapping]]] = ..., refused: _Optional[str] = ..., definitions: _Optional[_Union[DefinitionFile, _Mapping]] = ...) -> None: ...

class TestLoad(_message.Message):
    __slots__ = ("source", "rows", "replaces", "retracts", "materialize")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    REPLACES_FIELD_NUMBER: _ClassVar[int]
    RETRACTS_FIELD_NUMBER: _ClassVar[int]
    MATERIALIZE_FIELD_NUMBER: _ClassVar[int]
    source: str
    rows: _containers.RepeatedCompositeFieldContainer[_struct_pb2.Struct]
    replaces: int
    retracts: int
    materialize: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, source: _Optional[str] = ..., rows: _Optional[_Iterable[_Union[_struct_pb2.Struct, _Mapping]]] = ..., replaces: _Optional[int] = ..., retracts: _Optional[int] = ..., materialize: _Optional[_Iterable[str]] = ...) -> None: ...

class TestView(_message.Message):
    __slots__ = ("view", "rows")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    view: str
    rows: _containers.RepeatedCompositeFieldContainer[_struct_pb2.Struct]
    def __init__(self, view: _Optional[str] = ..., rows: _Optional[_Iterable[_Union[_struct_pb2.Struct, _Mapping]]] = ...) -> None: ...

class TestAnswer(_message.Message):
    __slots__ = ("service", "entity", "at", "features", "statuses")
    class StatusesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    service: str
    entity: _struct_pb2.Struct
    at: _timestamp_pb2.Timestamp
    features: _struct_pb2.Struct
    statuses: _containers.ScalarMap[str, str]
    def __init__(self, service: _Optional[str] = ..., entity: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., features: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., statuses: _Optional[_Mapping[str, str]] = ...) -> None: ...
