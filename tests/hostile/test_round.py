"""Hundreds of requests of callers who may do nothing, in every mode: nothing is stored, read, or broken.

``make test`` has a part of them against a list of all modes; ``tox run -e hostile`` runs the rest.
"""

from pathlib import Path

import pytest
from sqlalchemy import Connection

from tests.hostile.attempts import attempts
from tests.hostile.credentials import MODES, installation
from tests.hostile.round import attack, counted
from tests.support.started import StartService


@pytest.mark.parametrize("mode", MODES)
def test_caller_who_may_do_nothing_does_nothing(
    mode: str, start_service: StartService, owner: Connection, redis_url: str, tmp_path: Path
) -> None:
    tried = attempts()

    with installation(mode, tmp_path) as installed:
        api = start_service(**installed.settings).api
        before = counted(owner, redis_url)
        findings = attack(api, installed, tried)

    assert len(tried) >= 200
    assert not findings, "\n".join(findings)
    assert counted(owner, redis_url) == before
