import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from headwater.v1 import options_pb2 as _options_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Approval(_message.Message):
    __slots__ = ("id", "subject", "resource", "inputs", "gate", "found", "author", "approver", "reason", "approved_at", "expires_at", "withdrawn_at", "withdrawn_by", "withdraw_reason", "break_glass", "in_force")
    ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    GATE_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    APPROVER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    APPROVED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_AT_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_BY_FIELD_NUMBER: _ClassVar[int]
    WITHDRAW_REASON_FIELD_NUMBER: _ClassVar[int]
    BREAK_GLASS_FIELD_NUMBER: _ClassVar[int]
    IN_FORCE_FIELD_NUMBER: _ClassVar[int]
    id: int
    subject: str
    resource: str
    inputs: str
    gate: str
    found: str
    author: str
    approver: str
    reason: str
    approved_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    withdrawn_at: _timestamp_pb2.Timestamp
    withdrawn_by: str
    withdraw_reason: str
    break_glass: str
    in_force: bool
    def __init__(self, id: _Optional[int] = ..., subject: _Optional[str] = ..., resource: _Optional[str] = ..., inputs: _Optional[str] = ..., gate: _Optional[str] = ..., found: _Optional[str] = ..., author: _Optional[str] = ..., approver: _Optional[str] = ..., reason: _Optional[str] = ..., approved_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., withdrawn_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., withdrawn_by: _Optional[str] = ..., withdraw_reason: _Optional[str] = ..., break_glass: _Optional[str] = ..., in_force: bool = ...) -> None: ...

class GateResult(_message.Message):
    __slots__ = ("gate", "holds", "found", "remedy", "approval", "approvable")
    GATE_FIELD_NUMBER: _ClassVar[int]
    HOLDS_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    APPROVABLE_FIELD_NUMBER: _ClassVar[int]
    gate: str
    holds: bool
    found: str
    remedy: str
    approval: Approval
    approvable: bool
    def __init__(self, gate: _Optional[str] = ..., holds: bool = ..., found: _Optional[str] = ..., remedy: _Optional[str] = ..., approval: _Optional[_Union[Approval, _Mapping]] = ..., approvable: bool = ...) -> None: ...

class ListApprovalsRequest(_message.Message):
    __slots__ = ("of", "page_size")
    OF_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    of: str
    page_size: int
    def __init__(self, of: _Optional[str] = ..., page_size: _Optional[int] = ...) -> None: ...

class ListApprovalsResponse(_message.Message):
    __slots__ = ("approvals",)
    APPROVALS_FIELD_NUMBER: _ClassVar[int]
    approvals: _containers.RepeatedCompositeFieldContainer[Approval]
    def __init__(self, approvals: _Optional[_Iterable[_Union[Approval, _Mapping]]] = ...) -> None: ...

class ApproveServiceRequest(_message.Message):
    __slots__ = ("service", "gate", "inputs", "reason", "expires_at")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    GATE_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    service: str
    gate: str
    inputs: str
    reason: str
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, service: _Optional[str] = ..., gate: _Optional[str] = ..., inputs: _Optional[str] = ..., reason: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ApproveServiceResponse(_message.Message):
    __slots__ = ("approval",)
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    approval: Approval
    def __init__(self, approval: _Optional[_Union[Approval, _Mapping]] = ...) -> None: ...

class WithdrawApprovalRequest(_message.Message):
    __slots__ = ("id", "reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    id: int
    reason: str
    def __init__(self, id: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class WithdrawApprovalResponse(_message.Message):
    __slots__ = ("approval", "held_again")
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    HELD_AGAIN_FIELD_NUMBER: _ClassVar[int]
    approval: Approval
    held_again: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, approval: _Optional[_Union[Approval, _Mapping]] = ..., held_again: _Optional[_Iterable[str]] = ...) -> None: ...
