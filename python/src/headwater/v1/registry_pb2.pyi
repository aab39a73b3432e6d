import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from headwater.v1 import definition_pb2 as _definition_pb2
from headwater.v1 import options_pb2 as _options_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DefinitionKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEFINITION_KIND_UNSPECIFIED: _ClassVar[DefinitionKind]
    DEFINITION_KIND_ENTITY: _ClassVar[DefinitionKind]
    DEFINITION_KIND_SOURCE: _ClassVar[DefinitionKind]
    DEFINITION_KIND_VIEW: _ClassVar[DefinitionKind]
    DEFINITION_KIND_SERVICE: _ClassVar[DefinitionKind]
    DEFINITION_KIND_ROLE: _ClassVar[DefinitionKind]
    DEFINITION_KIND_POLICY: _ClassVar[DefinitionKind]
    DEFINITION_KIND_CONSUMER: _ClassVar[DefinitionKind]

class ChangeKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHANGE_KIND_UNSPECIFIED: _ClassVar[ChangeKind]
    CHANGE_KIND_ADD: _ClassVar[ChangeKind]
    CHANGE_KIND_NEW_VERSION: _ClassVar[ChangeKind]
    CHANGE_KIND_UPDATE: _ClassVar[ChangeKind]
    CHANGE_KIND_REMOVE: _ClassVar[ChangeKind]
    CHANGE_KIND_RETIRE: _ClassVar[ChangeKind]
    CHANGE_KIND_REVIVE: _ClassVar[ChangeKind]

class ColumnInputKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COLUMN_INPUT_KIND_UNSPECIFIED: _ClassVar[ColumnInputKind]
    COLUMN_INPUT_KIND_VALUE: _ClassVar[ColumnInputKind]
    COLUMN_INPUT_KIND_FILTER: _ClassVar[ColumnInputKind]
    COLUMN_INPUT_KIND_JOIN: _ClassVar[ColumnInputKind]
    COLUMN_INPUT_KIND_GROUP: _ClassVar[ColumnInputKind]
    COLUMN_INPUT_KIND_ORDER: _ClassVar[ColumnInputKind]
DEFINITION_KIND_UNSPECIFIED: DefinitionKind
DEFINITION_KIND_ENTITY: DefinitionKind
DEFINITION_KIND_SOURCE: DefinitionKind
DEFINITION_KIND_VIEW: DefinitionKind
DEFINITION_KIND_SERVICE: DefinitionKind
DEFINITION_KIND_ROLE: DefinitionKind
DEFINITION_KIND_POLICY: DefinitionKind
DEFINITION_KIND_CONSUMER: DefinitionKind
CHANGE_KIND_UNSPECIFIED: ChangeKind
CHANGE_KIND_ADD: ChangeKind
CHANGE_KIND_NEW_VERSION: ChangeKind
CHANGE_KIND_UPDATE: ChangeKind
CHANGE_KIND_REMOVE: ChangeKind
CHANGE_KIND_RETIRE: ChangeKind
CHANGE_KIND_REVIVE: ChangeKind
COLUMN_INPUT_KIND_UNSPECIFIED: ColumnInputKind
COLUMN_INPUT_KIND_VALUE: ColumnInputKind
COLUMN_INPUT_KIND_FILTER: ColumnInputKind
COLUMN_INPUT_KIND_JOIN: ColumnInputKind
COLUMN_INPUT_KIND_GROUP: ColumnInputKind
COLUMN_INPUT_KIND_ORDER: ColumnInputKind

class DefinitionSource(_message.Message):
    __slots__ = ("path", "file")
    PATH_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    path: str
    file: _definition_pb2.DefinitionFile
    def __init__(self, path: _Optional[str] = ..., file: _Optional[_Union[_definition_pb2.DefinitionFile, _Mapping]] = ...) -> None: ...

class PlanRequest(_message.Message):
    __slots__ = ("files", "prune", "retire")
    FILES_FIELD_NUMBER: _ClassVar[int]
    PRUNE_FIELD_NUMBER: _ClassVar[int]
    RETIRE_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[DefinitionSource]
    prune: bool
    retire: bool
    def __init__(self, files: _Optional[_Iterable[_Union[DefinitionSource, _Mapping]]] = ..., prune: bool = ..., retire: bool = ...) -> None: ...

class PlanResponse(_message.Message):
    __slots__ = ("changes", "registry_revision")
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_REVISION_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[Change]
    registry_revision: int
    def __init__(self, changes: _Optional[_Iterable[_Union[Change, _Mapping]]] = ..., registry_revision: _Optional[int] = ...) -> None: ...

class Change(_message.Message):
    __slots__ = ("kind", "definition_kind", "name", "version", "fingerprint", "details", "dependents", "data_work", "warnings")
    KIND_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    DEPENDENTS_FIELD_NUMBER: _ClassVar[int]
    DATA_WORK_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    kind: ChangeKind
    definition_kind: DefinitionKind
    name: str
    version: int
    fingerprint: str
    details: _containers.RepeatedScalarFieldContainer[str]
    dependents: _containers.RepeatedScalarFieldContainer[str]
    data_work: DataWork
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, kind: _Optional[_Union[ChangeKind, str]] = ..., definition_kind: _Optional[_Union[DefinitionKind, str]] = ..., name: _Optional[str] = ..., version: _Optional[int] = ..., fingerprint: _Optional[str] = ..., details: _Optional[_Iterable[str]] = ..., dependents: _Optional[_Iterable[str]] = ..., data_work: _Optional[_Union[DataWork, _Mapping]] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class DataWork(_message.Message):
    __slots__ = ("source_rows", "to", "previous_rows")
    SOURCE_ROWS_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_ROWS_FIELD_NUMBER: _ClassVar[int]
    source_rows: int
    to: _timestamp_pb2.Timestamp
    previous_rows: int
    def __init__(self, source_rows: _Optional[int] = ..., to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., previous_rows: _Optional[int] = ..., **kwargs) -> None: ...

class ApplyRequest(_message.Message):
    __slots__ = ("files", "expected_registry_revision", "origin", "prune", "retire")
    FILES_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_REGISTRY_REVISION_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    PRUNE_FIELD_NUMBER: _ClassVar[int]
    RETIRE_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[DefinitionSource]
    expected_registry_revision: int
    origin: str
    prune: bool
    retire: bool
    def __init__(self, files: _Optional[_Iterable[_Union[DefinitionSource, _Mapping]]] = ..., expected_registry_revision: _Optional[int] = ..., origin: _Optional[str] = ..., prune: bool = ..., retire: bool = ...) -> None: ...

class ApplyResponse(_message.Message):
    __slots__ = ("changes", "registry_revision")
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_REVISION_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[Change]
    registry_revision: int
    def __init__(self, changes: _Optional[_Iterable[_Union[Change, _Mapping]]] = ..., registry_revision: _Optional[int] = ...) -> None: ...

class ListDefinitionsRequest(_message.Message):
    __slots__ = ("kind",)
    KIND_FIELD_NUMBER: _ClassVar[int]
    kind: DefinitionKind
    def __init__(self, kind: _Optional[_Union[DefinitionKind, str]] = ...) -> None: ...

class ListDefinitionsResponse(_message.Message):
    __slots__ = ("definitions",)
    DEFINITIONS_FIELD_NUMBER: _ClassVar[int]
    definitions: _containers.RepeatedCompositeFieldContainer[DefinitionSummary]
    def __init__(self, definitions: _Optional[_Iterable[_Union[DefinitionSummary, _Mapping]]] = ...) -> None: ...

class DefinitionSummary(_message.Message):
    __slots__ = ("kind", "name", "version", "fingerprint", "description", "owner", "applied_at", "applied_by", "origin", "retired", "deprecated", "removed")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    APPLIED_AT_FIELD_NUMBER: _ClassVar[int]
    APPLIED_BY_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    RETIRED_FIELD_NUMBER: _ClassVar[int]
    DEPRECATED_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    kind: DefinitionKind
    name: str
    version: int
    fingerprint: str
    description: str
    owner: str
    applied_at: _timestamp_pb2.Timestamp
    applied_by: str
    origin: str
    retired: bool
    deprecated: _definition_pb2.Deprecation
    removed: bool
    def __init__(self, kind: _Optional[_Union[DefinitionKind, str]] = ..., name: _Optional[str] = ..., version: _Optional[int] = ..., fingerprint: _Optional[str] = ..., description: _Optional[str] = ..., owner: _Optional[str] = ..., applied_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., applied_by: _Optional[str] = ..., origin: _Optional[str] = ..., retired: bool = ..., deprecated: _Optional[_Union[_definition_pb2.Deprecation, _Mapping]] = ..., removed: bool = ...) -> None: ...

class GetDefinitionRequest(_message.Message):
    __slots__ = ("kind", "name")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    kind: DefinitionKind
    name: str
    def __init__(self, kind: _Optional[_Union[DefinitionKind, str]] = ..., name: _Optional[str] = ...) -> None: ...

class GetDefinitionResponse(_message.Message):
    __slots__ = ("summary", "definition", "inputs", "dependents", "view_state", "column_inputs", "source_state", "followed", "column_tags")
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    DEPENDENTS_FIELD_NUMBER: _ClassVar[int]
    VIEW_STATE_FIELD_NUMBER: _ClassVar[int]
    COLUMN_INPUTS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_STATE_FIELD_NUMBER: _ClassVar[int]
    FOLLOWED_FIELD_NUMBER: _ClassVar[int]
    COLUMN_TAGS_FIELD_NUMBER: _ClassVar[int]
    summary: DefinitionSummary
    definition: _definition_pb2.DefinitionFile
    inputs: _containers.RepeatedScalarFieldContainer[str]
    dependents: _containers.RepeatedScalarFieldContainer[str]
    view_state: ViewState
    column_inputs: _containers.RepeatedCompositeFieldContainer[ColumnInput]
    source_state: SourceState
    followed: _containers.RepeatedCompositeFieldContainer[FollowedView]
    column_tags: _containers.RepeatedCompositeFieldContainer[ColumnTag]
    def __init__(self, summary: _Optional[_Union[DefinitionSummary, _Mapping]] = ..., definition: _Optional[_Union[_definition_pb2.DefinitionFile, _Mapping]] = ..., inputs: _Optional[_Iterable[str]] = ..., dependents: _Optional[_Iterable[str]] = ..., view_state: _Optional[_Union[ViewState, _Mapping]] = ..., column_inputs: _Optional[_Iterable[_Union[ColumnInput, _Mapping]]] = ..., source_state: _Optional[_Union[SourceState, _Mapping]] = ..., followed: _Optional[_Iterable[_Union[FollowedView, _Mapping]]] = ..., column_tags: _Optional[_Iterable[_Union[ColumnTag, _Mapping]]] = ...) -> None: ...

class ColumnTag(_message.Message):
    __slots__ = ("column", "tag")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    column: str
    tag: str
    def __init__(self, column: _Optional[str] = ..., tag: _Optional[str] = ..., **kwargs) -> None: ...

class FollowedView(_message.Message):
    __slots__ = ("view", "version", "passed_over")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PASSED_OVER_FIELD_NUMBER: _ClassVar[int]
    view: str
    version: int
    passed_over: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, view: _Optional[str] = ..., version: _Optional[int] = ..., passed_over: _Optional[_Iterable[str]] = ...) -> None: ...

class SourceState(_message.Message):
    __slots__ = ("origin", "newest_row", "age", "late", "problem", "newest_hidden")
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    NEWEST_ROW_FIELD_NUMBER: _ClassVar[int]
    AGE_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    NEWEST_HIDDEN_FIELD_NUMBER: _ClassVar[int]
    origin: str
    newest_row: _timestamp_pb2.Timestamp
    age: _duration_pb2.Duration
    late: bool
    problem: str
    newest_hidden: bool
    def __init__(self, origin: _Optional[str] = ..., newest_row: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., late: bool = ..., problem: _Optional[str] = ..., newest_hidden: bool = ...) -> None: ...

class ColumnInput(_message.Message):
    __slots__ = ("column", "kind", "input", "input_column")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    INPUT_COLUMN_FIELD_NUMBER: _ClassVar[int]
    column: str
    kind: ColumnInputKind
    input: str
    input_column: str
    def __init__(self, column: _Optional[str] = ..., kind: _Optional[_Union[ColumnInputKind, str]] = ..., input: _Optional[str] = ..., input_column: _Optional[str] = ...) -> None: ...

class DiffDefinitionsRequest(_message.Message):
    __slots__ = ("kind", "before", "after")
    KIND_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    kind: DefinitionKind
    before: str
    after: str
    def __init__(self, kind: _Optional[_Union[DefinitionKind, str]] = ..., before: _Optional[str] = ..., after: _Optional[str] = ...) -> None: ...

class DiffDefinitionsResponse(_message.Message):
    __slots__ = ("before", "after", "details", "words_only")
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    WORDS_ONLY_FIELD_NUMBER: _ClassVar[int]
    before: DefinitionSummary
    after: DefinitionSummary
    details: _containers.RepeatedScalarFieldContainer[str]
    words_only: bool
    def __init__(self, before: _Optional[_Union[DefinitionSummary, _Mapping]] = ..., after: _Optional[_Union[DefinitionSummary, _Mapping]] = ..., details: _Optional[_Iterable[str]] = ..., words_only: bool = ...) -> None: ...

class ViewState(_message.Message):
    __slots__ = ("last_seq", "last_position", "last_published_at", "covered_from", "covered_to", "live_rows", "covered_intervals", "newest_online", "newest_online_age", "newest_hidden", "late", "online_seq", "online_published_at")
    LAST_SEQ_FIELD_NUMBER: _ClassVar[int]
    LAST_POSITION_FIELD_NUMBER: _ClassVar[int]
    LAST_PUBLISHED_AT_FIELD_NUMBER: _ClassVar[int]
    COVERED_FROM_FIELD_NUMBER: _ClassVar[int]
    COVERED_TO_FIELD_NUMBER: _ClassVar[int]
    LIVE_ROWS_FIELD_NUMBER: _ClassVar[int]
    COVERED_INTERVALS_FIELD_NUMBER: _ClassVar[int]
    NEWEST_ONLINE_FIELD_NUMBER: _ClassVar[int]
    NEWEST_ONLINE_AGE_FIELD_NUMBER: _ClassVar[int]
    NEWEST_HIDDEN_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    ONLINE_SEQ_FIELD_NUMBER: _ClassVar[int]
    ONLINE_PUBLISHED_AT_FIELD_NUMBER: _ClassVar[int]
    last_seq: int
    last_position: int
    last_published_at: _timestamp_pb2.Timestamp
    covered_from: _timestamp_pb2.Timestamp
    covered_to: _timestamp_pb2.Timestamp
    live_rows: int
    covered_intervals: int
    newest_online: _timestamp_pb2.Timestamp
    newest_online_age: _duration_pb2.Duration
    newest_hidden: bool
    late: bool
    online_seq: int
    online_published_at: _timestamp_pb2.Timestamp
    def __init__(self, last_seq: _Optional[int] = ..., last_position: _Optional[int] = ..., last_published_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., covered_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., covered_to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., live_rows: _Optional[int] = ..., covered_intervals: _Optional[int] = ..., newest_online: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., newest_online_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., newest_hidden: bool = ..., late: bool = ..., online_seq: _Optional[int] = ..., online_published_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
