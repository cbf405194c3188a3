"""A part of the hostile round, against a list of all modes; ``tox run -e hostile`` has all of it."""

from pathlib import Path

from sqlalchemy import Connection

from tests.hostile.attempts import attempts
from tests.hostile.credentials import MODES, installation
from tests.hostile.round import attack, counted
from tests.support.started import StartService

SHARE = 4
"""One attempt of so many, each of another kind."""


def test_caller_who_may_do_nothing_does_nothing(
    start_service: StartService, owner: Connection, redis_url: str, tmp_path: Path
) -> None:
    tried = attempts()[::SHARE]

    with installation(MODES[-1], tmp_path) as installed:
        api = start_service(**installed.settings).api
        before = counted(owner, redis_url)
        findings = attack(api, installed, tried)

    assert len(tried) >= 200
    assert not findings, "\n".join(findings)
    assert counted(owner, redis_url) == before
