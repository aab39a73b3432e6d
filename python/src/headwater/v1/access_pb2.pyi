import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from headwater.v1 import options_pb2 as _options_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Decision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DECISION_UNSPECIFIED: _ClassVar[Decision]
    DECISION_ALLOWED: _ClassVar[Decision]
    DECISION_DENIED: _ClassVar[Decision]
DECISION_UNSPECIFIED: Decision
DECISION_ALLOWED: Decision
DECISION_DENIED: Decision

class CreateTokenRequest(_message.Message):
    __slots__ = ("principal", "roles", "ttl", "attributes", "scopes")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: AttributeValues
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[AttributeValues, _Mapping]] = ...) -> None: ...
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    principal: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    ttl: _duration_pb2.Duration
    attributes: _containers.MessageMap[str, AttributeValues]
    scopes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, principal: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., attributes: _Optional[_Mapping[str, AttributeValues]] = ..., scopes: _Optional[_Iterable[str]] = ...) -> None: ...

class AttributeValues(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, values: _Optional[_Iterable[str]] = ...) -> None: ...

class CreateTokenResponse(_message.Message):
    __slots__ = ("token", "secret")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    token: Token
    secret: str
    def __init__(self, token: _Optional[_Union[Token, _Mapping]] = ..., secret: _Optional[str] = ...) -> None: ...

class Token(_message.Message):
    __slots__ = ("id", "principal", "roles", "created_at", "created_by", "expires_at", "revoked_at", "attributes", "scopes")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: AttributeValues
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[AttributeValues, _Mapping]] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    REVOKED_AT_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    id: str
    principal: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    created_at: _timestamp_pb2.Timestamp
    created_by: str
    expires_at: _timestamp_pb2.Timestamp
    revoked_at: _timestamp_pb2.Timestamp
    attributes: _containers.MessageMap[str, AttributeValues]
    scopes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., principal: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., created_by: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revoked_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., attributes: _Optional[_Mapping[str, AttributeValues]] = ..., scopes: _Optional[_Iterable[str]] = ...) -> None: ...

class ListTokensRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListTokensResponse(_message.Message):
    __slots__ = ("tokens",)
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    tokens: _containers.RepeatedCompositeFieldContainer[Token]
    def __init__(self, tokens: _Optional[_Iterable[_Union[Token, _Mapping]]] = ...) -> None: ...

class RevokeTokenRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class RevokeTokenResponse(_message.Message):
    __slots__ = ("token",)
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token: Token
    def __init__(self, token: _Optional[_Union[Token, _Mapping]] = ...) -> None: ...

class BindCertificateRequest(_message.Message):
    __slots__ = ("certificate", "roles", "attributes")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: AttributeValues
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[AttributeValues, _Mapping]] = ...) -> None: ...
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    certificate: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    attributes: _containers.MessageMap[str, AttributeValues]
    def __init__(self, certificate: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ..., attributes: _Optional[_Mapping[str, AttributeValues]] = ...) -> None: ...

class BindCertificateResponse(_message.Message):
    __slots__ = ("binding",)
    BINDING_FIELD_NUMBER: _ClassVar[int]
    binding: Binding
    def __init__(self, binding: _Optional[_Union[Binding, _Mapping]] = ...) -> None: ...

class Binding(_message.Message):
    __slots__ = ("certificate", "roles", "attributes", "created_at", "created_by")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: AttributeValues
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[AttributeValues, _Mapping]] = ...) -> None: ...
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    certificate: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    attributes: _containers.MessageMap[str, AttributeValues]
    created_at: _timestamp_pb2.Timestamp
    created_by: str
    def __init__(self, certificate: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ..., attributes: _Optional[_Mapping[str, AttributeValues]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., created_by: _Optional[str] = ...) -> None: ...

class UnbindCertificateRequest(_message.Message):
    __slots__ = ("certificate",)
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    certificate: str
    def __init__(self, certificate: _Optional[str] = ...) -> None: ...

class UnbindCertificateResponse(_message.Message):
    __slots__ = ("binding",)
    BINDING_FIELD_NUMBER: _ClassVar[int]
    binding: Binding
    def __init__(self, binding: _Optional[_Union[Binding, _Mapping]] = ...) -> None: ...

class ListBindingsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListBindingsResponse(_message.Message):
    __slots__ = ("bindings",)
    BINDINGS_FIELD_NUMBER: _ClassVar[int]
    bindings: _containers.RepeatedCompositeFieldContainer[Binding]
    def __init__(self, bindings: _Optional[_Iterable[_Union[Binding, _Mapping]]] = ...) -> None: ...

class ElevateRequest(_message.Message):
    __slots__ = ("role", "duration", "reason")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    role: str
    duration: _duration_pb2.Duration
    reason: str
    def __init__(self, role: _Optional[str] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class ElevateResponse(_message.Message):
    __slots__ = ("elevation",)
    ELEVATION_FIELD_NUMBER: _ClassVar[int]
    elevation: Elevation
    def __init__(self, elevation: _Optional[_Union[Elevation, _Mapping]] = ...) -> None: ...

class Elevation(_message.Message):
    __slots__ = ("principal", "credential", "role", "reason", "until", "ended_at", "ended_by")
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_BY_FIELD_NUMBER: _ClassVar[int]
    principal: str
    credential: str
    role: str
    reason: str
    until: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    ended_by: str
    def __init__(self, principal: _Optional[str] = ..., credential: _Optional[str] = ..., role: _Optional[str] = ..., reason: _Optional[str] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_by: _Optional[str] = ..., **kwargs) -> None: ...

class EndElevationRequest(_message.Message):
    __slots__ = ("principal",)
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    principal: str
    def __init__(self, principal: _Optional[str] = ...) -> None: ...

class EndElevationResponse(_message.Message):
    __slots__ = ("elevations",)
    ELEVATIONS_FIELD_NUMBER: _ClassVar[int]
    elevations: _containers.RepeatedCompositeFieldContainer[Elevation]
    def __init__(self, elevations: _Optional[_Iterable[_Union[Elevation, _Mapping]]] = ...) -> None: ...

class ListElevationsRequest(_message.Message):
    __slots__ = ("page_size",)
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    def __init__(self, page_size: _Optional[int] = ...) -> None: ...

class ListElevationsResponse(_message.Message):
    __slots__ = ("elevations",)
    ELEVATIONS_FIELD_NUMBER: _ClassVar[int]
    elevations: _containers.RepeatedCompositeFieldContainer[Elevation]
    def __init__(self, elevations: _Optional[_Iterable[_Union[Elevation, _Mapping]]] = ...) -> None: ...

class AppliedRule(_message.Message):
    __slots__ = ("policy", "about", "does", "key_version", "unmasked")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    ABOUT_FIELD_NUMBER: _ClassVar[int]
    DOES_FIELD_NUMBER: _ClassVar[int]
    KEY_VERSION_FIELD_NUMBER: _ClassVar[int]
    UNMASKED_FIELD_NUMBER: _ClassVar[int]
    policy: str
    about: str
    does: str
    key_version: int
    unmasked: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, policy: _Optional[str] = ..., about: _Optional[str] = ..., does: _Optional[str] = ..., key_version: _Optional[int] = ..., unmasked: _Optional[_Iterable[str]] = ...) -> None: ...

class MaskKey(_message.Message):
    __slots__ = ("name", "version", "created_at", "created_by")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    created_at: _timestamp_pb2.Timestamp
    created_by: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., created_by: _Optional[str] = ...) -> None: ...

class RotateMaskKeyRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class RotateMaskKeyResponse(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: MaskKey
    def __init__(self, key: _Optional[_Union[MaskKey, _Mapping]] = ...) -> None: ...

class ListMaskKeysRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListMaskKeysResponse(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[MaskKey]
    def __init__(self, keys: _Optional[_Iterable[_Union[MaskKey, _Mapping]]] = ...) -> None: ...

class AuditRecord(_message.Message):
    __slots__ = ("writer", "number", "time", "principal", "credential", "roles", "method", "action", "resource", "decision", "reason", "purpose", "client_address", "read_id", "calls", "entities", "last_time", "last_read_id", "resource_version", "attributes", "asked", "returned", "masked", "filtered_by", "source_columns", "policy_version", "rules", "rows_returned", "rows_hidden", "entities_hash", "as_of", "dataset", "use")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: AttributeValues
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[AttributeValues, _Mapping]] = ...) -> None: ...
    WRITER_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    READ_ID_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    ENTITIES_FIELD_NUMBER: _ClassVar[int]
    LAST_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_READ_ID_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    ASKED_FIELD_NUMBER: _ClassVar[int]
    RETURNED_FIELD_NUMBER: _ClassVar[int]
    MASKED_FIELD_NUMBER: _ClassVar[int]
    FILTERED_BY_FIELD_NUMBER: _ClassVar[int]
    SOURCE_COLUMNS_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    ROWS_RETURNED_FIELD_NUMBER: _ClassVar[int]
    ROWS_HIDDEN_FIELD_NUMBER: _ClassVar[int]
    ENTITIES_HASH_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    USE_FIELD_NUMBER: _ClassVar[int]
    writer: str
    number: int
    time: _timestamp_pb2.Timestamp
    principal: str
    credential: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    method: str
    action: _options_pb2.Action
    resource: str
    decision: Decision
    reason: str
    purpose: str
    client_address: str
    read_id: str
    calls: int
    entities: int
    last_time: _timestamp_pb2.Timestamp
    last_read_id: str
    resource_version: str
    attributes: _containers.MessageMap[str, AttributeValues]
    asked: _containers.RepeatedScalarFieldContainer[str]
    returned: _containers.RepeatedScalarFieldContainer[str]
    masked: _containers.RepeatedScalarFieldContainer[str]
    filtered_by: _containers.RepeatedScalarFieldContainer[str]
    source_columns: _containers.RepeatedScalarFieldContainer[str]
    policy_version: int
    rules: _containers.RepeatedScalarFieldContainer[str]
    rows_returned: int
    rows_hidden: int
    entities_hash: str
    as_of: str
    dataset: str
    use: str
    def __init__(self, writer: _Optional[str] = ..., number: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., principal: _Optional[str] = ..., credential: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ..., method: _Optional[str] = ..., action: _Optional[_Union[_options_pb2.Action, str]] = ..., resource: _Optional[str] = ..., decision: _Optional[_Union[Decision, str]] = ..., reason: _Optional[str] = ..., purpose: _Optional[str] = ..., client_address: _Optional[str] = ..., read_id: _Optional[str] = ..., calls: _Optional[int] = ..., entities: _Optional[int] = ..., last_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_read_id: _Optional[str] = ..., resource_version: _Optional[str] = ..., attributes: _Optional[_Mapping[str, AttributeValues]] = ..., asked: _Optional[_Iterable[str]] = ..., returned: _Optional[_Iterable[str]] = ..., masked: _Optional[_Iterable[str]] = ..., filtered_by: _Optional[_Iterable[str]] = ..., source_columns: _Optional[_Iterable[str]] = ..., policy_version: _Optional[int] = ..., rules: _Optional[_Iterable[str]] = ..., rows_returned: _Optional[int] = ..., rows_hidden: _Optional[int] = ..., entities_hash: _Optional[str] = ..., as_of: _Optional[str] = ..., dataset: _Optional[str] = ..., use: _Optional[str] = ...) -> None: ...

class GetAccessMatrixRequest(_message.Message):
    __slots__ = ("roles", "resources", "actions")
    ROLES_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    roles: _containers.RepeatedScalarFieldContainer[str]
    resources: _containers.RepeatedScalarFieldContainer[str]
    actions: _containers.RepeatedScalarFieldContainer[_options_pb2.Action]
    def __init__(self, roles: _Optional[_Iterable[str]] = ..., resources: _Optional[_Iterable[str]] = ..., actions: _Optional[_Iterable[_Union[_options_pb2.Action, str]]] = ...) -> None: ...

class GetAccessMatrixResponse(_message.Message):
    __slots__ = ("cells",)
    CELLS_FIELD_NUMBER: _ClassVar[int]
    cells: _containers.RepeatedCompositeFieldContainer[AccessMatrixCell]
    def __init__(self, cells: _Optional[_Iterable[_Union[AccessMatrixCell, _Mapping]]] = ...) -> None: ...

class AccessMatrixCell(_message.Message):
    __slots__ = ("role", "resource", "action", "decision", "reason", "policies")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    role: str
    resource: str
    action: _options_pb2.Action
    decision: Decision
    reason: str
    policies: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, role: _Optional[str] = ..., resource: _Optional[str] = ..., action: _Optional[_Union[_options_pb2.Action, str]] = ..., decision: _Optional[_Union[Decision, str]] = ..., reason: _Optional[str] = ..., policies: _Optional[_Iterable[str]] = ...) -> None: ...

class VerifyAuditRequest(_message.Message):
    __slots__ = ("writer", "since", "public_keys")
    WRITER_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEYS_FIELD_NUMBER: _ClassVar[int]
    writer: str
    since: _timestamp_pb2.Timestamp
    public_keys: str
    def __init__(self, writer: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., public_keys: _Optional[str] = ...) -> None: ...

class VerifyAuditResponse(_message.Message):
    __slots__ = ("problem", "chain", "progress")
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    problem: AuditProblem
    chain: AuditChain
    progress: AuditProgress
    def __init__(self, problem: _Optional[_Union[AuditProblem, _Mapping]] = ..., chain: _Optional[_Union[AuditChain, _Mapping]] = ..., progress: _Optional[_Union[AuditProgress, _Mapping]] = ...) -> None: ...

class AuditProgress(_message.Message):
    __slots__ = ("records", "total")
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    records: int
    total: int
    def __init__(self, records: _Optional[int] = ..., total: _Optional[int] = ...) -> None: ...

class ListAuditKeysRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListAuditKeysResponse(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[AuditKey]
    def __init__(self, keys: _Optional[_Iterable[_Union[AuditKey, _Mapping]]] = ...) -> None: ...

class AuditKey(_message.Message):
    __slots__ = ("id", "public_key", "created_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    public_key: str
    created_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., public_key: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class AuditProblem(_message.Message):
    __slots__ = ("writer", "number", "kind", "found", "expected")
    WRITER_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    writer: str
    number: int
    kind: str
    found: str
    expected: str
    def __init__(self, writer: _Optional[str] = ..., number: _Optional[int] = ..., kind: _Optional[str] = ..., found: _Optional[str] = ..., expected: _Optional[str] = ...) -> None: ...

class AuditChain(_message.Message):
    __slots__ = ("writer", "first", "last", "records", "checkpoints", "problems", "signed_to", "signed_at", "key_id")
    WRITER_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINTS_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    SIGNED_TO_FIELD_NUMBER: _ClassVar[int]
    SIGNED_AT_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    writer: str
    first: int
    last: int
    records: int
    checkpoints: int
    problems: int
    signed_to: int
    signed_at: _timestamp_pb2.Timestamp
    key_id: str
    def __init__(self, writer: _Optional[str] = ..., first: _Optional[int] = ..., last: _Optional[int] = ..., records: _Optional[int] = ..., checkpoints: _Optional[int] = ..., problems: _Optional[int] = ..., signed_to: _Optional[int] = ..., signed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., key_id: _Optional[str] = ...) -> None: ...

class ListAuditRecordsRequest(_message.Message):
    __slots__ = ("principal", "resource", "since", "page_size")
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    principal: str
    resource: str
    since: _timestamp_pb2.Timestamp
    page_size: int
    def __init__(self, principal: _Optional[str] = ..., resource: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., page_size: _Optional[int] = ...) -> None: ...

class ListAuditRecordsResponse(_message.Message):
    __slots__ = ("records",)
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[AuditRecord]
    def __init__(self, records: _Optional[_Iterable[_Union[AuditRecord, _Mapping]]] = ...) -> None: ...

class ExplainAccessRequest(_message.Message):
    __slots__ = ("principal", "action", "resource", "roles", "attributes", "purpose", "use")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: AttributeValues
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[AttributeValues, _Mapping]] = ...) -> None: ...
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    USE_FIELD_NUMBER: _ClassVar[int]
    principal: str
    action: _options_pb2.Action
    resource: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    attributes: _containers.MessageMap[str, AttributeValues]
    purpose: str
    use: str
    def __init__(self, principal: _Optional[str] = ..., action: _Optional[_Union[_options_pb2.Action, str]] = ..., resource: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ..., attributes: _Optional[_Mapping[str, AttributeValues]] = ..., purpose: _Optional[str] = ..., use: _Optional[str] = ...) -> None: ...

class ExplainAccessResponse(_message.Message):
    __slots__ = ("principal", "known_by", "roles", "attributes", "decision", "reason", "missing", "owner", "definition", "serves_as_grant", "views", "requirements", "filters", "masks", "policies")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: AttributeValues
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[AttributeValues, _Mapping]] = ...) -> None: ...
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    KNOWN_BY_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    SERVES_AS_GRANT_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    REQUIREMENTS_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    MASKS_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    principal: str
    known_by: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    attributes: _containers.MessageMap[str, AttributeValues]
    decision: Decision
    reason: str
    missing: str
    owner: str
    definition: str
    serves_as_grant: bool
    views: _containers.RepeatedCompositeFieldContainer[ExplainedView]
    requirements: _containers.RepeatedCompositeFieldContainer[ExplainedRequirement]
    filters: _containers.RepeatedCompositeFieldContainer[ExplainedFilter]
    masks: _containers.RepeatedCompositeFieldContainer[AppliedRule]
    policies: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, principal: _Optional[str] = ..., known_by: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ..., attributes: _Optional[_Mapping[str, AttributeValues]] = ..., decision: _Optional[_Union[Decision, str]] = ..., reason: _Optional[str] = ..., missing: _Optional[str] = ..., owner: _Optional[str] = ..., definition: _Optional[str] = ..., serves_as_grant: bool = ..., views: _Optional[_Iterable[_Union[ExplainedView, _Mapping]]] = ..., requirements: _Optional[_Iterable[_Union[ExplainedRequirement, _Mapping]]] = ..., filters: _Optional[_Iterable[_Union[ExplainedFilter, _Mapping]]] = ..., masks: _Optional[_Iterable[_Union[AppliedRule, _Mapping]]] = ..., policies: _Optional[_Iterable[str]] = ...) -> None: ...

class ExplainedView(_message.Message):
    __slots__ = ("view", "decision", "reason", "owner")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    view: str
    decision: Decision
    reason: str
    owner: str
    def __init__(self, view: _Optional[str] = ..., decision: _Optional[_Union[Decision, str]] = ..., reason: _Optional[str] = ..., owner: _Optional[str] = ...) -> None: ...

class ExplainedRequirement(_message.Message):
    __slots__ = ("policy", "about", "requires", "met", "refusal")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    ABOUT_FIELD_NUMBER: _ClassVar[int]
    REQUIRES_FIELD_NUMBER: _ClassVar[int]
    MET_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    policy: str
    about: str
    requires: str
    met: bool
    refusal: str
    def __init__(self, policy: _Optional[str] = ..., about: _Optional[str] = ..., requires: _Optional[str] = ..., met: bool = ..., refusal: _Optional[str] = ...) -> None: ...

class ExplainedFilter(_message.Message):
    __slots__ = ("policy", "about", "words", "sql", "parameters", "hides_nothing")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    ABOUT_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    SQL_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    HIDES_NOTHING_FIELD_NUMBER: _ClassVar[int]
    policy: str
    about: str
    words: str
    sql: str
    parameters: _containers.RepeatedScalarFieldContainer[str]
    hides_nothing: bool
    def __init__(self, policy: _Optional[str] = ..., about: _Optional[str] = ..., words: _Optional[str] = ..., sql: _Optional[str] = ..., parameters: _Optional[_Iterable[str]] = ..., hides_nothing: bool = ...) -> None: ...
