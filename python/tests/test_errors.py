"""Errors carry the server's reason, whatever it is."""

from __future__ import annotations

import pickle
from typing import Any

import grpc
import pytest

import headwater
from headwater import errors
from headwater.v1 import access_pb2, access_pb2_grpc, dataset_pb2, error_pb2


def test_every_reason_has_a_class() -> None:
    prefix = "ERROR_REASON_"
    reasons = {name.removeprefix(prefix) for name in error_pb2.ErrorReason.DESCRIPTOR.values_by_name} - {"UNSPECIFIED"}
    classes = {
        c.reason: c
        for c in vars(errors).values()
        if isinstance(c, type) and issubclass(c, headwater.HeadwaterError) and c is not headwater.HeadwaterError
    }
    assert set(classes) == reasons
    assert headwater.HeadwaterError._by_reason == classes
    for reason, cls in classes.items():
        assert cls.__name__.removesuffix("Error").upper() == reason.replace("_", ""), reason
        assert cls.__doc__


def test_denied(server: Any, flights: list[dict[str, Any]]) -> None:
    token = server.run("token", "create", "--principal", "delay-model", "--role", "model").strip()
    with headwater.Client(server.address, token) as model:
        assert model.get_features("delay_model_v1", [{"origin": "ORD", "destination": "LAX"}]).to_dicts()
        with pytest.raises(
            errors.PermissionDeniedError, match="delay-model may not read_offline service:delay_model_v1"
        ) as denied:
            model.dataset("delay_model_v1", spine=flights)
        assert denied.value.code == grpc.StatusCode.PERMISSION_DENIED
        assert denied.value.reason == "PERMISSION_DENIED"
        with pytest.raises(errors.PermissionDeniedError, match="may not list"):
            model.features()


def test_a_token_that_is_none(server: Any) -> None:
    for token in (None, "hw_nonsense"):
        with headwater.Client(server.address, token) as nobody, pytest.raises(errors.UnauthenticatedError, match="token"):
            nobody.features()


def test_violations_and_metadata(client: headwater.Client, server: Any) -> None:
    with pytest.raises(errors.NotFoundError) as missing:
        client.get_features("no_such", [{"origin": "ORD"}])
    assert missing.value.metadata == {"kind": "service", "name": "no_such"}
    with pytest.raises(errors.InvalidArgumentError) as bad:
        client.get_features("delay_model_v1", [{"origin": "ORD"}])
    assert [v.field for v in bad.value.violations] == ['keys["destination"]']
    assert "found none, expected the join key destination of entity route" in bad.value.violations[0].description
    assert str(bad.value) == bad.value.message
    again = pickle.loads(pickle.dumps(bad.value))
    assert type(again) is type(bad.value)
    assert (str(again), again.violations, again.metadata, again.code) == (
        str(bad.value),
        bad.value.violations,
        bad.value.metadata,
        bad.value.code,
    )
    with pytest.raises(errors.InvalidArgumentError) as name:
        client.dataset("delay_model_v1", spine=[{"timestamp": None}], name="Not A Name")
    assert name.value.violations[0].field == "header.name"
    assert str(name.value).count(name.value.violations[0].description) == 1


def test_places_in_files() -> None:
    v = errors.Violation("sources[0]", "found nothing", "a.yaml", 3, 7)
    assert (
        str(errors.InvalidDefinitionError("found 1 problem", violations=[v])) == "found 1 problem\n  a.yaml:3:7: found nothing"
    )
    error = errors.HeadwaterError("x", reason="SOMETHING_NEW")
    assert error.reason == "SOMETHING_NEW"
    assert errors.HeadwaterError.reason == "INTERNAL"


def test_no_server() -> None:
    with headwater.Client("127.0.0.1:1") as client:
        with pytest.raises(errors.ServerUnavailableError, match=r"no server answers at 127\.0\.0\.1:1.*headwater dev") as error:
            client.features()
        assert error.value.metadata == {"server": "127.0.0.1:1"}
        with pytest.raises(errors.ServerUnavailableError):
            client.dataset("s", spine=[{"timestamp": None}])


def test_a_deadline(server: Any) -> None:
    hurried = headwater.Client(server.address, server.token, timeout=1e-6)
    # The server sees the deadline too, and may say so first.
    with hurried, pytest.raises(errors.DeadlineExceededError, match=r"did not answer in time|the deadline passed"):
        hurried.features()


def test_a_client_that_is_closed(server: Any) -> None:
    client = headwater.Client(server.address, server.token)
    client.close()
    with pytest.raises(errors.InvalidArgumentError, match="the client is closed"):
        client.datasets()
    with pytest.raises(errors.InvalidArgumentError, match="the client is closed"):
        client.fetch("a@1")


def test_the_stubs_are_there(server: Any) -> None:
    with headwater.Client(server.address, server.token) as client:
        stub = access_pb2_grpc.AccessServiceStub(client.channel)  # type: ignore[no-untyped-call]
        request = access_pb2.ListTokensRequest()
        found = stub.ListTokens(request, metadata=client.metadata)
        assert any(t.principal == "admin" for t in found.tokens)


def test_what_newer_servers_send_is_kept() -> None:
    manifest = headwater.Manifest(dataset_pb2.Manifest(state=99))  # type: ignore[arg-type]
    assert manifest.state == "99"
