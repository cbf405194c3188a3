"""The service does what its document says; the search that takes its time is ``tox run -e fuzz``."""

from pathlib import Path

from tests.fuzz.conformance import run_schemathesis
from tests.support.isolated import isolated_service


def test_generated_requests_are_answered_as_the_document_says(tmp_path: Path) -> None:
    with isolated_service(tmp_path) as running:
        report = run_schemathesis(
            running.api.url, tmp_path, "--phases", "examples,coverage,stateful", "--max-examples", "10"
        )

    assert report.is_clean, report.text
    assert report.cases >= 500
