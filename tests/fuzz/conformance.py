"""Runs schemathesis against a running service and reads its report."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datastorage.embedded.ledger_key import ORIGIN, ledger_key
from datastorage.platform.access.tokens import hash_of, new_token

ROOT = Path(__file__).parents[2]
TOKEN = new_token()
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")


@dataclass(frozen=True)
class Report:
    """What schemathesis found; ``text`` is what a person would read."""

    content: dict[str, Any]
    text: str

    @property
    def cases(self) -> int:
        """Number of requests that were generated and judged."""
        generated: int = self.content["test_cases"]["generated"]
        return generated

    @property
    def is_clean(self) -> bool:
        """Whether every check passed on every case and nothing went untested."""
        return (
            self.content["exit_code"] == 0
            and self.content["complete"]
            and not self.content["failures"]
            and not self.content["errors"]
        )


def with_secrets(directory: Path) -> dict[str, str]:
    """Return the settings of a service that signs, and wants ``TOKEN`` however often others are tried."""
    entry = {"name": "conformance", "sha256": hash_of(TOKEN), "roles": ["admin"]}
    file = directory / "tokens.json"
    file.write_text(json.dumps({"tokens": [entry]}))
    ledger = {"LEDGER_ORIGIN": ORIGIN, "LEDGER_SIGNING_KEY_FILE": str(ledger_key(directory))}
    return {"AUTH_MODE": "static", "AUTH_TOKENS_FILE": str(file), "RATE_LIMIT_FAILURES": "off", **ledger}


def run_schemathesis(url: str, directory: Path, *options: str) -> Report:
    """Generate requests from the document of the service at ``url`` and check every answer.

    Args:
        url: where the service is; it takes ``TOKEN``.
        directory: for the report.
        options: further options of ``schemathesis run``.
    """
    report = directory / "conformance.json"
    program = Path(sys.executable).with_name("schemathesis")
    finished = subprocess.run(  # noqa: S603 - our own command
        [
            program, "--config-file", CONFIGURATION, "run", f"{url}/openapi.json",
            "--report-json-path", report, "--header", f"Authorization: Bearer {TOKEN}", *options,
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )  # fmt: skip
    assert report.is_file(), finished.stdout
    return Report(json.loads(report.read_text(encoding="utf-8")), finished.stdout)
