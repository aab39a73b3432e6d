import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from headwater.v1 import options_pb2 as _options_pb2
from headwater.v1 import value_pb2 as _value_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LineageDirection(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LINEAGE_DIRECTION_UNSPECIFIED: _ClassVar[LineageDirection]
    LINEAGE_DIRECTION_UP: _ClassVar[LineageDirection]
    LINEAGE_DIRECTION_DOWN: _ClassVar[LineageDirection]

class LineageEdgeKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LINEAGE_EDGE_KIND_UNSPECIFIED: _ClassVar[LineageEdgeKind]
    LINEAGE_EDGE_KIND_DEFINITION: _ClassVar[LineageEdgeKind]
    LINEAGE_EDGE_KIND_READ: _ClassVar[LineageEdgeKind]
    LINEAGE_EDGE_KIND_WROTE: _ClassVar[LineageEdgeKind]
    LINEAGE_EDGE_KIND_REPLACED: _ClassVar[LineageEdgeKind]
    LINEAGE_EDGE_KIND_VALUE: _ClassVar[LineageEdgeKind]
    LINEAGE_EDGE_KIND_FILTER: _ClassVar[LineageEdgeKind]
    LINEAGE_EDGE_KIND_JOIN: _ClassVar[LineageEdgeKind]
    LINEAGE_EDGE_KIND_GROUP: _ClassVar[LineageEdgeKind]
    LINEAGE_EDGE_KIND_ORDER: _ClassVar[LineageEdgeKind]
    LINEAGE_EDGE_KIND_CORRECTED: _ClassVar[LineageEdgeKind]
LINEAGE_DIRECTION_UNSPECIFIED: LineageDirection
LINEAGE_DIRECTION_UP: LineageDirection
LINEAGE_DIRECTION_DOWN: LineageDirection
LINEAGE_EDGE_KIND_UNSPECIFIED: LineageEdgeKind
LINEAGE_EDGE_KIND_DEFINITION: LineageEdgeKind
LINEAGE_EDGE_KIND_READ: LineageEdgeKind
LINEAGE_EDGE_KIND_WROTE: LineageEdgeKind
LINEAGE_EDGE_KIND_REPLACED: LineageEdgeKind
LINEAGE_EDGE_KIND_VALUE: LineageEdgeKind
LINEAGE_EDGE_KIND_FILTER: LineageEdgeKind
LINEAGE_EDGE_KIND_JOIN: LineageEdgeKind
LINEAGE_EDGE_KIND_GROUP: LineageEdgeKind
LINEAGE_EDGE_KIND_ORDER: LineageEdgeKind
LINEAGE_EDGE_KIND_CORRECTED: LineageEdgeKind

class GetLineageRequest(_message.Message):
    __slots__ = ("node", "direction", "depth", "columns", "as_of", "page_size", "page_token")
    NODE_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    node: str
    direction: LineageDirection
    depth: int
    columns: bool
    as_of: str
    page_size: int
    page_token: str
    def __init__(self, node: _Optional[str] = ..., direction: _Optional[_Union[LineageDirection, str]] = ..., depth: _Optional[int] = ..., columns: bool = ..., as_of: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class GetLineageResponse(_message.Message):
    __slots__ = ("root", "nodes", "edges", "next_page_token", "position")
    ROOT_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    EDGES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    root: str
    nodes: _containers.RepeatedCompositeFieldContainer[LineageNode]
    edges: _containers.RepeatedCompositeFieldContainer[LineageEdge]
    next_page_token: str
    position: int
    def __init__(self, root: _Optional[str] = ..., nodes: _Optional[_Iterable[_Union[LineageNode, _Mapping]]] = ..., edges: _Optional[_Iterable[_Union[LineageEdge, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., position: _Optional[int] = ...) -> None: ...

class LineageNode(_message.Message):
    __slots__ = ("id", "title", "properties")
    class PropertiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    id: str
    title: str
    properties: _containers.ScalarMap[str, str]
    def __init__(self, id: _Optional[str] = ..., title: _Optional[str] = ..., properties: _Optional[_Mapping[str, str]] = ...) -> None: ...

class LineageEdge(_message.Message):
    __slots__ = ("to", "kind", "valid_from", "valid_to")
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_FIELD_NUMBER: _ClassVar[int]
    VALID_TO_FIELD_NUMBER: _ClassVar[int]
    to: str
    kind: LineageEdgeKind
    valid_from: int
    valid_to: int
    def __init__(self, to: _Optional[str] = ..., kind: _Optional[_Union[LineageEdgeKind, str]] = ..., valid_from: _Optional[int] = ..., valid_to: _Optional[int] = ..., **kwargs) -> None: ...

class TraceReadRequest(_message.Message):
    __slots__ = ("read_id", "service", "entity", "at", "inputs", "row", "features", "source_rows", "purpose")
    class EntityEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _value_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_value_pb2.Value, _Mapping]] = ...) -> None: ...
    class InputsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _value_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_value_pb2.Value, _Mapping]] = ...) -> None: ...
    READ_ID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ROWS_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    read_id: str
    service: str
    entity: _containers.MessageMap[str, _value_pb2.Value]
    at: _timestamp_pb2.Timestamp
    inputs: _containers.MessageMap[str, _value_pb2.Value]
    row: int
    features: _containers.RepeatedScalarFieldContainer[str]
    source_rows: int
    purpose: str
    def __init__(self, read_id: _Optional[str] = ..., service: _Optional[str] = ..., entity: _Optional[_Mapping[str, _value_pb2.Value]] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., inputs: _Optional[_Mapping[str, _value_pb2.Value]] = ..., row: _Optional[int] = ..., features: _Optional[_Iterable[str]] = ..., source_rows: _Optional[int] = ..., purpose: _Optional[str] = ...) -> None: ...

class TraceReadResponse(_message.Message):
    __slots__ = ("read_id", "served_at", "service", "principal", "purpose", "prediction_id", "position", "row", "rows", "entity", "policies", "features", "runs", "left_out")
    class EntityEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _value_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_value_pb2.Value, _Mapping]] = ...) -> None: ...
    READ_ID_FIELD_NUMBER: _ClassVar[int]
    SERVED_AT_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_ID_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    read_id: str
    served_at: _timestamp_pb2.Timestamp
    service: str
    principal: str
    purpose: str
    prediction_id: str
    position: int
    row: int
    rows: int
    entity: _containers.MessageMap[str, _value_pb2.Value]
    policies: _containers.RepeatedScalarFieldContainer[str]
    features: _containers.RepeatedCompositeFieldContainer[TracedFeature]
    runs: _containers.RepeatedCompositeFieldContainer[TracedRun]
    left_out: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, read_id: _Optional[str] = ..., served_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., service: _Optional[str] = ..., principal: _Optional[str] = ..., purpose: _Optional[str] = ..., prediction_id: _Optional[str] = ..., position: _Optional[int] = ..., row: _Optional[int] = ..., rows: _Optional[int] = ..., entity: _Optional[_Mapping[str, _value_pb2.Value]] = ..., policies: _Optional[_Iterable[str]] = ..., features: _Optional[_Iterable[_Union[TracedFeature, _Mapping]]] = ..., runs: _Optional[_Iterable[_Union[TracedRun, _Mapping]]] = ..., left_out: _Optional[_Iterable[str]] = ...) -> None: ...

class TracedFeature(_message.Message):
    __slots__ = ("name", "feature", "served", "status", "event_time", "run", "recomputed", "verdict", "why", "columns", "description", "owner", "arguments")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    SERVED_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    RECOMPUTED_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    feature: str
    served: str
    status: str
    event_time: _timestamp_pb2.Timestamp
    run: str
    recomputed: str
    verdict: str
    why: str
    columns: _containers.RepeatedCompositeFieldContainer[LineageEdge]
    description: str
    owner: str
    arguments: _containers.RepeatedCompositeFieldContainer[TracedArgument]
    def __init__(self, name: _Optional[str] = ..., feature: _Optional[str] = ..., served: _Optional[str] = ..., status: _Optional[str] = ..., event_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., run: _Optional[str] = ..., recomputed: _Optional[str] = ..., verdict: _Optional[str] = ..., why: _Optional[str] = ..., columns: _Optional[_Iterable[_Union[LineageEdge, _Mapping]]] = ..., description: _Optional[str] = ..., owner: _Optional[str] = ..., arguments: _Optional[_Iterable[_Union[TracedArgument, _Mapping]]] = ...) -> None: ...

class TracedArgument(_message.Message):
    __slots__ = ("node", "value", "run", "event_time")
    NODE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    node: str
    value: str
    run: str
    event_time: _timestamp_pb2.Timestamp
    def __init__(self, node: _Optional[str] = ..., value: _Optional[str] = ..., run: _Optional[str] = ..., event_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class TracedRun(_message.Message):
    __slots__ = ("run", "position", "published_at", "started_by", "interval_start", "interval_end", "fingerprint", "definition", "origin", "applied_at", "applied_by", "digest", "rows_from", "rows_to", "inputs", "checks", "quarantined", "notes")
    RUN_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_AT_FIELD_NUMBER: _ClassVar[int]
    STARTED_BY_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_START_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_END_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    APPLIED_AT_FIELD_NUMBER: _ClassVar[int]
    APPLIED_BY_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ROWS_FROM_FIELD_NUMBER: _ClassVar[int]
    ROWS_TO_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    run: str
    position: int
    published_at: _timestamp_pb2.Timestamp
    started_by: str
    interval_start: _timestamp_pb2.Timestamp
    interval_end: _timestamp_pb2.Timestamp
    fingerprint: str
    definition: str
    origin: str
    applied_at: _timestamp_pb2.Timestamp
    applied_by: str
    digest: str
    rows_from: _timestamp_pb2.Timestamp
    rows_to: _timestamp_pb2.Timestamp
    inputs: _containers.RepeatedCompositeFieldContainer[TracedInput]
    checks: _containers.RepeatedCompositeFieldContainer[TracedCheck]
    quarantined: _containers.RepeatedCompositeFieldContainer[TracedRow]
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, run: _Optional[str] = ..., position: _Optional[int] = ..., published_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., started_by: _Optional[str] = ..., interval_start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., interval_end: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., fingerprint: _Optional[str] = ..., definition: _Optional[str] = ..., origin: _Optional[str] = ..., applied_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., applied_by: _Optional[str] = ..., digest: _Optional[str] = ..., rows_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., rows_to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., inputs: _Optional[_Iterable[_Union[TracedInput, _Mapping]]] = ..., checks: _Optional[_Iterable[_Union[TracedCheck, _Mapping]]] = ..., quarantined: _Optional[_Iterable[_Union[TracedRow, _Mapping]]] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class TracedInput(_message.Message):
    __slots__ = ("node", "title", "properties", "rows", "rows_left_out")
    class PropertiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NODE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    ROWS_LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    node: str
    title: str
    properties: _containers.ScalarMap[str, str]
    rows: _containers.RepeatedCompositeFieldContainer[TracedRow]
    rows_left_out: str
    def __init__(self, node: _Optional[str] = ..., title: _Optional[str] = ..., properties: _Optional[_Mapping[str, str]] = ..., rows: _Optional[_Iterable[_Union[TracedRow, _Mapping]]] = ..., rows_left_out: _Optional[str] = ...) -> None: ...

class TracedCheck(_message.Message):
    __slots__ = ("name", "subject", "outcome", "expected", "found")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    name: str
    subject: str
    outcome: str
    expected: str
    found: str
    def __init__(self, name: _Optional[str] = ..., subject: _Optional[str] = ..., outcome: _Optional[str] = ..., expected: _Optional[str] = ..., found: _Optional[str] = ...) -> None: ...

class TracedRow(_message.Message):
    __slots__ = ("subject", "load", "row", "columns", "reason")
    class ColumnsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    subject: str
    load: int
    row: int
    columns: _containers.ScalarMap[str, str]
    reason: str
    def __init__(self, subject: _Optional[str] = ..., load: _Optional[int] = ..., row: _Optional[int] = ..., columns: _Optional[_Mapping[str, str]] = ..., reason: _Optional[str] = ...) -> None: ...

class GetImpactRequest(_message.Message):
    __slots__ = ("source", "column", "to", "load", "page_size", "page_token")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    source: str
    column: str
    to: _timestamp_pb2.Timestamp
    load: int
    page_size: int
    page_token: str
    def __init__(self, source: _Optional[str] = ..., column: _Optional[str] = ..., to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., load: _Optional[int] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., **kwargs) -> None: ...

class GetImpactResponse(_message.Message):
    __slots__ = ("nodes", "hidden", "entities", "predictions", "unlogged", "repairs", "next_page_token", "notes")
    NODES_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_FIELD_NUMBER: _ClassVar[int]
    ENTITIES_FIELD_NUMBER: _ClassVar[int]
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    UNLOGGED_FIELD_NUMBER: _ClassVar[int]
    REPAIRS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[ImpactedNode]
    hidden: int
    entities: int
    predictions: int
    unlogged: _containers.RepeatedScalarFieldContainer[str]
    repairs: _containers.RepeatedCompositeFieldContainer[RepairStep]
    next_page_token: str
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, nodes: _Optional[_Iterable[_Union[ImpactedNode, _Mapping]]] = ..., hidden: _Optional[int] = ..., entities: _Optional[int] = ..., predictions: _Optional[int] = ..., unlogged: _Optional[_Iterable[str]] = ..., repairs: _Optional[_Iterable[_Union[RepairStep, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class ImpactedNode(_message.Message):
    __slots__ = ("id", "title", "owner", "entities", "rows", "predictions", "live_rows", "exact", "why", "how")
    ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    ENTITIES_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    LIVE_ROWS_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    HOW_FIELD_NUMBER: _ClassVar[int]
    id: str
    title: str
    owner: str
    entities: int
    rows: int
    predictions: int
    live_rows: int
    exact: bool
    why: str
    how: str
    def __init__(self, id: _Optional[str] = ..., title: _Optional[str] = ..., owner: _Optional[str] = ..., entities: _Optional[int] = ..., rows: _Optional[int] = ..., predictions: _Optional[int] = ..., live_rows: _Optional[int] = ..., exact: bool = ..., why: _Optional[str] = ..., how: _Optional[str] = ...) -> None: ...

class RepairStep(_message.Message):
    __slots__ = ("command", "why", "node")
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    command: str
    why: str
    node: str
    def __init__(self, command: _Optional[str] = ..., why: _Optional[str] = ..., node: _Optional[str] = ...) -> None: ...

class DiffRunsRequest(_message.Message):
    __slots__ = ("a", "b")
    A_FIELD_NUMBER: _ClassVar[int]
    B_FIELD_NUMBER: _ClassVar[int]
    a: str
    b: str
    def __init__(self, a: _Optional[str] = ..., b: _Optional[str] = ...) -> None: ...

class DiffRunsResponse(_message.Message):
    __slots__ = ("a", "b", "changes", "left_out")
    A_FIELD_NUMBER: _ClassVar[int]
    B_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    a: str
    b: str
    changes: _containers.RepeatedCompositeFieldContainer[RunChange]
    left_out: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, a: _Optional[str] = ..., b: _Optional[str] = ..., changes: _Optional[_Iterable[_Union[RunChange, _Mapping]]] = ..., left_out: _Optional[_Iterable[str]] = ...) -> None: ...

class RunChange(_message.Message):
    __slots__ = ("about", "name", "a", "b")
    ABOUT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    A_FIELD_NUMBER: _ClassVar[int]
    B_FIELD_NUMBER: _ClassVar[int]
    about: str
    name: str
    a: str
    b: str
    def __init__(self, about: _Optional[str] = ..., name: _Optional[str] = ..., a: _Optional[str] = ..., b: _Optional[str] = ...) -> None: ...

class CheckLineageRequest(_message.Message):
    __slots__ = ("views",)
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    views: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, views: _Optional[_Iterable[str]] = ...) -> None: ...

class CheckLineageResponse(_message.Message):
    __slots__ = ("orphan", "checked")
    ORPHAN_FIELD_NUMBER: _ClassVar[int]
    CHECKED_FIELD_NUMBER: _ClassVar[int]
    orphan: LineageOrphan
    checked: LineageChecked
    def __init__(self, orphan: _Optional[_Union[LineageOrphan, _Mapping]] = ..., checked: _Optional[_Union[LineageChecked, _Mapping]] = ...) -> None: ...

class LineageOrphan(_message.Message):
    __slots__ = ("node", "found", "expected")
    NODE_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    node: str
    found: str
    expected: str
    def __init__(self, node: _Optional[str] = ..., found: _Optional[str] = ..., expected: _Optional[str] = ...) -> None: ...

class LineageChecked(_message.Message):
    __slots__ = ("node", "rows", "online", "orphans", "runs", "datasets", "total")
    NODE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    ONLINE_FIELD_NUMBER: _ClassVar[int]
    ORPHANS_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    node: str
    rows: int
    online: int
    orphans: int
    runs: int
    datasets: int
    total: int
    def __init__(self, node: _Optional[str] = ..., rows: _Optional[int] = ..., online: _Optional[int] = ..., orphans: _Optional[int] = ..., runs: _Optional[int] = ..., datasets: _Optional[int] = ..., total: _Optional[int] = ...) -> None: ...

class ListUsesRequest(_message.Message):
    __slots__ = ("node", "since", "page_size", "page_token")
    NODE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    node: str
    since: _timestamp_pb2.Timestamp
    page_size: int
    page_token: str
    def __init__(self, node: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListUsesResponse(_message.Message):
    __slots__ = ("uses", "next_page_token", "since")
    USES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    uses: _containers.RepeatedCompositeFieldContainer[Use]
    next_page_token: str
    since: _timestamp_pb2.Timestamp
    def __init__(self, uses: _Optional[_Iterable[_Union[Use, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Use(_message.Message):
    __slots__ = ("time", "principal", "action", "resource", "path", "purpose", "calls", "read_id", "dataset")
    TIME_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    READ_ID_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    time: _timestamp_pb2.Timestamp
    principal: str
    action: str
    resource: str
    path: _containers.RepeatedScalarFieldContainer[str]
    purpose: str
    calls: int
    read_id: str
    dataset: str
    def __init__(self, time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., principal: _Optional[str] = ..., action: _Optional[str] = ..., resource: _Optional[str] = ..., path: _Optional[_Iterable[str]] = ..., purpose: _Optional[str] = ..., calls: _Optional[int] = ..., read_id: _Optional[str] = ..., dataset: _Optional[str] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "version", "dataset", "service", "run_uri", "description", "owner", "registered_at", "registered_by")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    RUN_URI_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    REGISTERED_AT_FIELD_NUMBER: _ClassVar[int]
    REGISTERED_BY_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    dataset: str
    service: str
    run_uri: str
    description: str
    owner: str
    registered_at: _timestamp_pb2.Timestamp
    registered_by: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., dataset: _Optional[str] = ..., service: _Optional[str] = ..., run_uri: _Optional[str] = ..., description: _Optional[str] = ..., owner: _Optional[str] = ..., registered_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., registered_by: _Optional[str] = ...) -> None: ...

class RegisterModelRequest(_message.Message):
    __slots__ = ("name", "dataset", "service", "run_uri", "description", "owner")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    RUN_URI_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    name: str
    dataset: str
    service: str
    run_uri: str
    description: str
    owner: str
    def __init__(self, name: _Optional[str] = ..., dataset: _Optional[str] = ..., service: _Optional[str] = ..., run_uri: _Optional[str] = ..., description: _Optional[str] = ..., owner: _Optional[str] = ...) -> None: ...

class RegisterModelResponse(_message.Message):
    __slots__ = ("model", "registered")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    REGISTERED_FIELD_NUMBER: _ClassVar[int]
    model: Model
    registered: bool
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ..., registered: bool = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class GetModelResponse(_message.Message):
    __slots__ = ("model", "versions")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    model: Model
    versions: _containers.RepeatedCompositeFieldContainer[Model]
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ..., versions: _Optional[_Iterable[_Union[Model, _Mapping]]] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ...) -> None: ...

class TakeEventRequest(_message.Message):
    __slots__ = ("event",)
    EVENT_FIELD_NUMBER: _ClassVar[int]
    event: bytes
    def __init__(self, event: _Optional[bytes] = ...) -> None: ...

class TakeEventResponse(_message.Message):
    __slots__ = ("sources",)
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    sources: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, sources: _Optional[_Iterable[str]] = ...) -> None: ...

class GetOutboxRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class GetOutboxResponse(_message.Message):
    __slots__ = ("receiver", "waiting", "parked", "oldest", "tried", "subjects", "next_page_token")
    RECEIVER_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    PARKED_FIELD_NUMBER: _ClassVar[int]
    OLDEST_FIELD_NUMBER: _ClassVar[int]
    TRIED_FIELD_NUMBER: _ClassVar[int]
    SUBJECTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    receiver: str
    waiting: int
    parked: int
    oldest: _timestamp_pb2.Timestamp
    tried: int
    subjects: _containers.RepeatedCompositeFieldContainer[OutboxSubject]
    next_page_token: str
    def __init__(self, receiver: _Optional[str] = ..., waiting: _Optional[int] = ..., parked: _Optional[int] = ..., oldest: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tried: _Optional[int] = ..., subjects: _Optional[_Iterable[_Union[OutboxSubject, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class OutboxSubject(_message.Message):
    __slots__ = ("subject", "topic", "waiting", "parked", "oldest", "attempts", "next_try", "error", "receiver")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    PARKED_FIELD_NUMBER: _ClassVar[int]
    OLDEST_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_TRY_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    RECEIVER_FIELD_NUMBER: _ClassVar[int]
    subject: str
    topic: str
    waiting: int
    parked: int
    oldest: _timestamp_pb2.Timestamp
    attempts: int
    next_try: _timestamp_pb2.Timestamp
    error: str
    receiver: str
    def __init__(self, subject: _Optional[str] = ..., topic: _Optional[str] = ..., waiting: _Optional[int] = ..., parked: _Optional[int] = ..., oldest: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., attempts: _Optional[int] = ..., next_try: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., error: _Optional[str] = ..., receiver: _Optional[str] = ...) -> None: ...

class ResendOutboxRequest(_message.Message):
    __slots__ = ("subjects", "receiver")
    SUBJECTS_FIELD_NUMBER: _ClassVar[int]
    RECEIVER_FIELD_NUMBER: _ClassVar[int]
    subjects: _containers.RepeatedScalarFieldContainer[str]
    receiver: str
    def __init__(self, subjects: _Optional[_Iterable[str]] = ..., receiver: _Optional[str] = ...) -> None: ...

class ResendOutboxResponse(_message.Message):
    __slots__ = ("resent",)
    RESENT_FIELD_NUMBER: _ClassVar[int]
    resent: int
    def __init__(self, resent: _Optional[int] = ...) -> None: ...
