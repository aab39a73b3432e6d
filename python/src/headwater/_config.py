"""What is said of a connection outside of a program: in the environment, and in the file that the command line reads too."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from headwater.errors import InvalidArgumentError

NAMES = (
    "HEADWATER_SERVER",
    "HEADWATER_TOKEN",
    "HEADWATER_TOKEN_FILE",
    "HEADWATER_TLS",
    "HEADWATER_CA_FILE",
    "HEADWATER_CERT_FILE",
    "HEADWATER_KEY_FILE",
)


class Settings:
    """The environment, then the file. The file says who calls one server: where another one is named, nothing of it is
    used, so that a token is not sent to a server that it is not for.
    """

    def __init__(self, server: str | None) -> None:
        self._file = {} if server or os.environ.get("HEADWATER_SERVER") else _read_file()

    def get(self, name: str) -> str | None:
        return os.environ.get(name) or self._file.get(name) or None

    def token(self) -> tuple[str | None, str | None]:
        """A token, or the file that holds it: both of one place."""
        for place in (os.environ, self._file):
            token, file = place.get("HEADWATER_TOKEN") or None, place.get("HEADWATER_TOKEN_FILE") or None
            if token or file:
                return token, None if token else file
        return None, None


def _read_file() -> dict[str, str]:
    named = os.environ.get("HEADWATER_CONFIG")
    path = Path(named) if named else _folder() / "headwater" / "client.env"
    try:
        text = path.read_text("utf-8", "replace")
    except FileNotFoundError as error:
        if not named:
            return {}
        raise _unreadable(path, error) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    values = {}
    for n, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        name = name.strip()
        if not equals or name not in NAMES:
            # What stands there may be a secret in the wrong place.
            found = f"the name {name}" if equals else "no ="
            raise InvalidArgumentError(
                f"client configuration {path}:{n}: found {found}, expected NAME=VALUE with one of {', '.join(NAMES)}"
            )
        values[name] = value.strip()
    return values


def _unreadable(path: Path, error: OSError) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"client configuration {path}: {(error.strerror or 'cannot be read').lower()}; correct the path in HEADWATER_CONFIG"
    )


def _folder() -> Path:
    """Where a user's configurations are: as the command line has it."""
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home())
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
