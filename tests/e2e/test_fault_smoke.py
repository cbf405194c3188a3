"""Quick cases of the fault laboratory; ``make chaos`` runs all of them."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab import attacks
from tests.lab.attacks import HALF_HEADS
from tests.lab.cases import COMMIT_ANSWER_LOST, POSTGRES_KILLED, Case, run
from tests.lab.load import Mix

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kills processes it finds in /proc")


@pytest.mark.parametrize(
    "case", [POSTGRES_KILLED, COMMIT_ANSWER_LOST], ids=lambda case: case.name.replace(" ", "-")
)
def test_nothing_acknowledged_is_lost_or_stored_twice(case: Case, tmp_path: Path) -> None:
    verdict, _, broken = run(replace(case, mix=Mix(clients=1)), tmp_path, settle_seconds=0.5)

    assert broken is None, verdict


def test_half_heads_hold_up_nobody_else(tmp_path: Path) -> None:
    attack = replace(HALF_HEADS, mix=Mix(clients=1), seconds=2)

    verdict, beside, broken = attacks.run(attack, tmp_path, settle_seconds=1)

    assert broken is None, (verdict, beside)
