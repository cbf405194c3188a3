"""``datastorage auth``: a token that is made is a token that works."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.support.service import environment_of_a_service

URLS = {
    "DATASTORAGE_DATABASE_URL": "postgresql://app:x@127.0.0.1:1/none",
    "DATASTORAGE_REDIS_URL": "redis://:x@127.0.0.1:1/0",
}


def auth(*arguments: str, text: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "datastorage", "auth", *arguments],
        env=environment_of_a_service() | URLS | variables,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def a_token(tmp_path: Path, *options: str) -> tuple[str, dict[str, str]]:
    """Return a token that a service with the returned variables takes."""
    made: dict[str, Any] = json.loads(auth("new-token", "ci-robot", *options, "--json").stdout)
    file = tmp_path / "tokens.yaml"
    file.write_text(yaml.safe_dump({"tokens": [made["entry"]]}))
    return made["token"], {"DATASTORAGE_AUTH_MODE": "static", "DATASTORAGE_AUTH_TOKENS_FILE": str(file)}


def test_token_that_was_made_is_accepted_with_its_roles(tmp_path: Path) -> None:
    token, variables = a_token(tmp_path, "--role", "auditor", "--kind", "person", "--expires", "90d")

    checked = auth("check", "--json", text=f"{token}\n", **variables)

    assert json.loads(checked.stdout) == {
        "name": "ci-robot",
        "kind": "person",
        "mode": "static",
        "groups": [],
        "permissions": ["read", "export"],
    }
    assert checked.returncode == 0


def test_token_in_a_file_is_read_from_there(tmp_path: Path) -> None:
    token, variables = a_token(tmp_path)
    file = tmp_path / "token"
    file.write_text(token)

    checked = auth("check", "--token-file", str(file), **variables)

    assert ["permissions", "write"] in [line.split() for line in checked.stdout.splitlines()]


def test_refused_token_ends_with_the_reason_and_is_not_shown(tmp_path: Path) -> None:
    _, variables = a_token(tmp_path)
    wrong = "dst_" + "x" * 43

    checked = auth("check", text=wrong, **variables)

    assert checked.returncode == 1
    assert checked.stderr == "Error: refused by mode static: invalid_token\n"
    assert wrong not in checked.stdout + checked.stderr


def test_wrong_arguments_are_one_line() -> None:
    for arguments in (["new-token", "a b"], ["new-token", "a", "--expires", "soon"], ["new-token"]):
        refused = auth(*arguments)

        assert refused.returncode == 2
        assert "Traceback" not in refused.stderr
        assert refused.stderr.splitlines()[-1].startswith("Error: ")


def test_file_of_tokens_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    file = tmp_path / "tokens.yaml"
    file.write_text("tokens: [{name: a, sha256: 12, roles: [king], colour: red}]")

    checked = auth("check", text="x", DATASTORAGE_AUTH_MODE="static", DATASTORAGE_AUTH_TOKENS_FILE=str(file))

    assert checked.returncode == 1
    [line] = checked.stderr.splitlines()
    assert line.startswith(f"Error: {file}: ")
    assert "tokens[0].sha256" in line
    assert "tokens[0].colour: is not a key of this file" in line
