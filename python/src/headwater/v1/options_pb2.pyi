from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACTION_UNSPECIFIED: _ClassVar[Action]
    ACTION_READ_ONLINE: _ClassVar[Action]
    ACTION_READ_OFFLINE: _ClassVar[Action]
    ACTION_LIST: _ClassVar[Action]
    ACTION_REGISTER: _ClassVar[Action]
    ACTION_MATERIALIZE: _ClassVar[Action]
    ACTION_INGEST: _ClassVar[Action]
    ACTION_READ_LINEAGE: _ClassVar[Action]
    ACTION_READ_AUDIT: _ClassVar[Action]
    ACTION_ADMINISTER: _ClassVar[Action]
    ACTION_APPROVE: _ClassVar[Action]

class ResourceKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESOURCE_KIND_UNSPECIFIED: _ClassVar[ResourceKind]
    RESOURCE_KIND_CATALOG: _ClassVar[ResourceKind]
    RESOURCE_KIND_ENTITY: _ClassVar[ResourceKind]
    RESOURCE_KIND_SOURCE: _ClassVar[ResourceKind]
    RESOURCE_KIND_VIEW: _ClassVar[ResourceKind]
    RESOURCE_KIND_SERVICE: _ClassVar[ResourceKind]
    RESOURCE_KIND_ROLE: _ClassVar[ResourceKind]
    RESOURCE_KIND_DATASET: _ClassVar[ResourceKind]
    RESOURCE_KIND_RUN: _ClassVar[ResourceKind]
    RESOURCE_KIND_SYSTEM: _ClassVar[ResourceKind]
    RESOURCE_KIND_FEATURE: _ClassVar[ResourceKind]
    RESOURCE_KIND_POLICY: _ClassVar[ResourceKind]
    RESOURCE_KIND_TAG: _ClassVar[ResourceKind]
    RESOURCE_KIND_MODEL: _ClassVar[ResourceKind]
    RESOURCE_KIND_CONSUMER: _ClassVar[ResourceKind]
ACTION_UNSPECIFIED: Action
ACTION_READ_ONLINE: Action
ACTION_READ_OFFLINE: Action
ACTION_LIST: Action
ACTION_REGISTER: Action
ACTION_MATERIALIZE: Action
ACTION_INGEST: Action
ACTION_READ_LINEAGE: Action
ACTION_READ_AUDIT: Action
ACTION_ADMINISTER: Action
ACTION_APPROVE: Action
RESOURCE_KIND_UNSPECIFIED: ResourceKind
RESOURCE_KIND_CATALOG: ResourceKind
RESOURCE_KIND_ENTITY: ResourceKind
RESOURCE_KIND_SOURCE: ResourceKind
RESOURCE_KIND_VIEW: ResourceKind
RESOURCE_KIND_SERVICE: ResourceKind
RESOURCE_KIND_ROLE: ResourceKind
RESOURCE_KIND_DATASET: ResourceKind
RESOURCE_KIND_RUN: ResourceKind
RESOURCE_KIND_SYSTEM: ResourceKind
RESOURCE_KIND_FEATURE: ResourceKind
RESOURCE_KIND_POLICY: ResourceKind
RESOURCE_KIND_TAG: ResourceKind
RESOURCE_KIND_MODEL: ResourceKind
RESOURCE_KIND_CONSUMER: ResourceKind

class Permission(_message.Message):
    __slots__ = ("action", "resource", "resource_field", "decided_in_handler")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_FIELD_NUMBER: _ClassVar[int]
    DECIDED_IN_HANDLER_FIELD_NUMBER: _ClassVar[int]
    action: Action
    resource: ResourceKind
    resource_field: str
    decided_in_handler: bool
    def __init__(self, action: _Optional[_Union[Action, str]] = ..., resource: _Optional[_Union[ResourceKind, str]] = ..., resource_field: _Optional[str] = ..., decided_in_handler: bool = ...) -> None: ...
