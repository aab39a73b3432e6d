"""One connection to one server: where it is, how it is protected, who calls, and what becomes of errors."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc

from headwater._config import Settings
from headwater._version import __version__
from headwater.errors import CancelledError, DeadlineExceededError, HeadwaterError, InvalidArgumentError, from_rpc, late

DEFAULT_SERVER = "127.0.0.1:7411"
"""Where a server listens when nothing else is said."""

_MAX_MESSAGE = 64 << 20
"""The largest message of the server's that is taken, in bytes. Streams are cut near 1 MiB; lists are the largest."""


class Connection:
    """A channel to a server, as one principal. Safe for several threads."""

    def __init__(
        self,
        server: str | None,
        token: str | None,
        *,
        token_file: str | os.PathLike[str] | None,
        tls: bool | None,
        ca_file: str | os.PathLike[str] | None,
        cert_file: str | os.PathLike[str] | None,
        key_file: str | os.PathLike[str] | None,
        timeout: float | None,
    ) -> None:
        settings = Settings(server)
        self.server = server or settings.get("HEADWATER_SERVER") or DEFAULT_SERVER
        self.timeout = timeout
        found = _token(settings, token, token_file)
        self.metadata = [("authorization", f"Bearer {found}")] if found else []
        options = [
            ("grpc.max_receive_message_length", _MAX_MESSAGE),
            ("grpc.primary_user_agent", f"headwater-python/{__version__}"),
        ]
        credentials = _credentials(settings, tls, ca_file, cert_file, key_file)
        self.encrypted = credentials is not None
        self.channel = (
            grpc.insecure_channel(self.server, options)
            if credentials is None
            else grpc.secure_channel(self.server, credentials, options)
        )

    def close(self) -> None:
        self.channel.close()

    def call(self, method: Callable[..., Any], request: Any, *, timeout: float | None = None) -> Any:
        """Makes a call of one answer."""
        seconds = timeout if timeout is not None else self.timeout
        begun = time.monotonic()
        try:
            return method(request, timeout=seconds, metadata=self.metadata)
        except grpc.RpcError as error:
            found = self.explain(error)
            if isinstance(found, CancelledError) and seconds is not None and time.monotonic() - begun >= seconds:
                # Where the server ends the call first, gRPC calls a deadline that passed a cancellation.
                found = DeadlineExceededError(late(self.server), code=grpc.StatusCode.DEADLINE_EXCEEDED)
            raise found from None
        except ValueError as error:
            raise self._unusable(error) from None

    def calls(self, method: Callable[..., Any], requests: list[Any]) -> list[Any]:
        """Makes calls of one answer each, at once, and gives the answers in their order."""
        try:
            futures = [method.future(r, timeout=self.timeout, metadata=self.metadata) for r in requests]  # type: ignore[attr-defined]
            return [f.result() for f in futures]
        except grpc.RpcError as error:
            raise self.explain(error) from None
        except grpc.FutureCancelledError:
            raise CancelledError("the call was cancelled before it was done", code=grpc.StatusCode.CANCELLED) from None
        except ValueError as error:
            raise self._unusable(error) from None

    def stream(self, method: Callable[..., Any], request: Any) -> Any:
        """Makes a call whose answers are a stream; without a deadline, for it may be long."""
        try:
            return method(request, metadata=self.metadata)
        except ValueError as error:
            raise self._unusable(error) from None

    def received(self, call: Any) -> Iterator[Any]:
        """The answers of a stream, with errors as this package has them. The call is cancelled when it is left early."""
        done = False
        try:
            yield from call
            done = True
        except grpc.RpcError as error:
            done = True
            raise self.explain(error) from None
        finally:
            if not done:
                call.cancel()

    def explain(self, error: grpc.RpcError) -> HeadwaterError:
        return from_rpc(error, self.server)

    def _unusable(self, error: ValueError) -> Exception:
        # gRPC's word for a channel that was closed.
        if "closed" in str(error).lower():
            return InvalidArgumentError(
                "the client is closed; make another, or call within `with headwater.Client(...) as client:`"
            )
        return error


def _token(settings: Settings, token: str | None, token_file: str | os.PathLike[str] | None) -> str:
    if token is not None and token_file is not None:
        raise InvalidArgumentError("found token and token_file, expected one of them")
    if token is None and token_file is None:
        token, token_file = settings.token()
    if token_file is not None:
        token = _read(token_file, "token file").decode("utf-8", "replace")
    token = (token or "").strip()
    if not token.isascii() or not token.isprintable():
        raise InvalidArgumentError(
            "found a token with characters that no token has; give it as `headwater token create` printed it"
        )
    return token


def _credentials(
    settings: Settings,
    tls: bool | None,
    ca_file: str | os.PathLike[str] | None,
    cert_file: str | os.PathLike[str] | None,
    key_file: str | os.PathLike[str] | None,
) -> grpc.ChannelCredentials | None:
    ca_file = ca_file or settings.get("HEADWATER_CA_FILE")
    cert_file = cert_file or settings.get("HEADWATER_CERT_FILE")
    key_file = key_file or settings.get("HEADWATER_KEY_FILE")
    if tls is None:
        said = (settings.get("HEADWATER_TLS") or "").strip().lower()
        if said not in ("", "0", "1", "false", "true"):
            raise InvalidArgumentError(f"HEADWATER_TLS: found {said!r}, expected 1 or 0")
        tls = said in ("1", "true") or (said == "" and bool(ca_file or cert_file))
    if not tls:
        return None
    if bool(cert_file) != bool(key_file):
        raise InvalidArgumentError(
            "found one of cert_file and key_file, expected both (HEADWATER_CERT_FILE, HEADWATER_KEY_FILE), or neither"
        )
    return grpc.ssl_channel_credentials(
        root_certificates=_read(ca_file, "ca_file") if ca_file else None,
        private_key=_read(key_file, "key_file") if key_file else None,
        certificate_chain=_read(cert_file, "cert_file") if cert_file else None,
    )


def _read(path: str | os.PathLike[str], what: str) -> bytes:
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise InvalidArgumentError(f"{what} {os.fspath(path)}: {error.strerror}; check the path") from error
