"""The service does what its document says; the search that takes its time is ``tox run -e fuzz``."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.fuzz.conformance import TOKEN, run_schemathesis, with_secrets
from tests.support.isolated import IsolatedService, isolated_service
from tests.support.ledger_stand import LEDGER
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IsolatedService]:
    directory = tmp_path_factory.mktemp("conformance")
    with isolated_service(directory, **with_secrets(directory)) as started:
        eventually(lambda: asked(started, f"{LEDGER}/checkpoint") == HTTPStatus.OK)
        yield started


def asked(running: IsolatedService, path: str) -> int:
    return running.api.get(path, Authorization=f"Bearer {TOKEN}").status


PATHS = (
    "^/(api/v1/(audit|whoami)|health|readyz)",
    "^/api/v1/workflows",
    "^/api/v1/(incidents|success-rate)",
)


@pytest.mark.parametrize("paths", PATHS)
def test_generated_requests_are_answered_as_the_document_says(
    running: IsolatedService, paths: str, tmp_path: Path
) -> None:
    # What follows from one answer to the next is looked for by the long search.
    phases = "examples,coverage"

    report = run_schemathesis(
        running.api.url, tmp_path, "--phases", phases, "--max-examples", "5", "--include-path-regex", paths
    )

    assert report.is_clean, report.text
    assert report.cases >= 500


def test_no_part_of_the_document_is_left_out(running: IsolatedService) -> None:
    documented = running.api.get("/openapi.json").json["paths"]

    assert [path for path in documented if not any(re.search(each, path) for each in PATHS)] == []
