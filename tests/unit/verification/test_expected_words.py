from pathlib import Path

from tests.support.ledger_cases import cases
from tests.support.verifier import isolated


def test_client_without_the_service_says_what_the_vectors_expect(tmp_path: Path) -> None:
    expected = cases(tmp_path)

    said = isolated(tmp_path / "packages", [case.arguments for case in expected])

    assert len(expected) == 28
    found = {
        case.name: (exit_code, *output.split()[: 1 if exit_code == 0 else 2])
        for case, (exit_code, output) in zip(expected, said, strict=True)
    }
    results = {0: (), 1: ("TAMPERED",), 3: ("incomplete",)}
    assert found == {case.name: (case.exit_code, *results[case.exit_code], case.word) for case in expected}
