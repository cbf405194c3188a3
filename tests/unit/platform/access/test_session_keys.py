import base64
from pathlib import Path

import pytest

from datastorage.platform.access.session_keys import SessionKeys
from datastorage.platform.watched import BadFileError


def a_line(byte: int) -> str:
    return base64.urlsafe_b64encode(bytes([byte]) * 32).decode()


def read(directory: Path, text: str) -> SessionKeys:
    path = directory / "session-keys"
    path.write_text(text, encoding="utf-8")
    return SessionKeys.read(path)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_one_to_three_lines_are_keys_in_their_order(tmp_path: Path, count: int) -> None:
    keys = read(tmp_path, "\n".join(map(a_line, range(count))) + "\n")

    assert keys.keys == tuple(bytes([byte]) * 32 for byte in range(count))


def test_padding_may_be_missing(tmp_path: Path) -> None:
    assert read(tmp_path, a_line(251).rstrip("=")).keys == (bytes([251]) * 32,)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "REPLACE_ME",
        a_line(1)[:-3],
        f"{a_line(1)} {a_line(2)[:20]}",
        "/" * 43,
        f"{a_line(1)}\n" * 4,
        "é" * 43,
    ],
    ids=["empty", "blank", "template", "short", "second short", "not URL-safe", "four", "not ASCII"],
)
def test_anything_else_is_refused_without_repeating_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadFileError) as raised:
        read(tmp_path, text)

    assert str(raised.value) == (
        f"console.session_key_file {tmp_path / 'session-keys'} must have one to 3 lines,"
        " each 32 bytes in URL-safe base64"
    )


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadFileError, match=r"session_key_file .* cannot be read: No such file"):
        SessionKeys.read(tmp_path / "none")


def test_keys_show_up_nowhere() -> None:
    assert repr(SessionKeys((b"k" * 32,))) == "SessionKeys()"


def test_every_key_vouches_for_forms_that_it_signed() -> None:
    old, new = SessionKeys.random(), SessionKeys.random()
    both = SessionKeys((*new.keys, *old.keys))
    signature = old.sign_form("nonce")

    assert both.vouch_for("nonce", signature)
    assert both.sign_form("nonce") == new.sign_form("nonce")
    assert not both.vouch_for("another", signature)
    assert not new.vouch_for("nonce", signature)
    assert not both.vouch_for("nonce", "é")
