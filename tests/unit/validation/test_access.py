"""Check 11, for modes that ask no other server."""

import base64
import secrets
from pathlib import Path

import pytest

from datastorage.validation.access import access
from datastorage.validation.subject import Broken, Doubtful, Subject


@pytest.fixture
def tokens(tmp_path: Path) -> dict[str, str]:
    """Variables of an installation whose callers show tokens of a file."""
    path = tmp_path / "tokens.yaml"
    path.write_text("tokens: []\n")
    return {"DATASTORAGE_AUTH_MODE": "static", "DATASTORAGE_AUTH_TOKENS_FILE": str(path)}


def with_key(directory: Path, text: str) -> dict[str, str]:
    path = directory / "session-keys"
    path.write_text(text)
    return {"DATASTORAGE_CONSOLE_SESSION_KEY_FILE": str(path)}


def test_installation_that_asks_nobody_is_doubtful() -> None:
    with pytest.raises(Doubtful, match="access control is off"):
        access(Subject(None, {}), 5)


def test_tokens_without_a_key_for_sessions_are_doubtful(tokens: dict[str, str]) -> None:
    with pytest.raises(Doubtful, match="sessions of the console hold on one pod") as raised:
        access(Subject(None, tokens), 5)

    assert "console.session_key_file" in raised.value.repair


def test_tokens_and_a_key_are_ready(tokens: dict[str, str], tmp_path: Path) -> None:
    key = with_key(tmp_path, base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())

    assert access(Subject(None, tokens | key), 5) == "access control by static is ready"


def test_key_that_is_none_is_broken(tokens: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(Broken, match=r"session_key_file .* must have one to 3 lines") as raised:
        access(Subject(None, tokens | with_key(tmp_path, "REPLACE_ME")), 5)

    assert not isinstance(raised.value, Doubtful)
