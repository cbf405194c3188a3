"""The long search for requests that are not answered as the document says."""

from pathlib import Path

from datastorage.settings import environment
from tests.fuzz.conformance import run_schemathesis, with_secrets
from tests.support.isolated import isolated_service

CASES = 10_000
EXAMPLES_PER_OPERATION = "400"


def test_thousands_of_generated_requests_are_answered_as_the_document_says(tmp_path: Path) -> None:
    examples = environment().get("DATASTORAGE_TEST_FUZZ_EXAMPLES", EXAMPLES_PER_OPERATION)
    with isolated_service(tmp_path, **with_secrets(tmp_path), LOGGING_LEVEL="error") as running:
        report = run_schemathesis(running.api.url, tmp_path, "--max-examples", examples)
        log = running.service.log

    assert report.is_clean, report.text
    assert log == ""
    if examples == EXAMPLES_PER_OPERATION:
        assert report.cases >= CASES
