"""``datastorage validate``: one line per check, while they are made."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import click

from datastorage.validation.run import CHECKS, Check, Finding, run
from datastorage.validation.subject import Subject

READY = "ALL CHECKS PASSED - Ready for Data Storage Service implementation"


@click.command()
@click.option(
    "--config", "config_path", type=click.Path(path_type=Path), help="YAML file; wins over CONFIG_PATH."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document at the end.")
@click.option(
    "--skip",
    type=click.IntRange(1, len(CHECKS)),
    multiple=True,
    help="Leave out the check of this number; may be given several times.",
)
@click.pass_context
def validate(ctx: click.Context, config_path: Path | None, skip: tuple[int, ...], *, as_json: bool) -> None:
    """Check what the service and its developers need, and say how to repair what is broken."""
    chosen = config_path or ctx.find_root().meta.get("config_path")
    subject = Subject(chosen, dict(os.environ))  # noqa: TID251 - the settings may not be importable
    findings = []
    for found in run(CHECKS, subject, frozenset(skip), _announce):
        findings.append(replace(found, text=subject.without_secrets(found.text)))
        if not as_json:
            click.echo(_lines(findings[-1]))
    failures = sum(finding.status == "FAIL" for finding in findings)
    verdict = READY if failures == 0 else f"{failures} of {len(CHECKS)} checks failed"
    if as_json:
        document = {"verdict": verdict, "checks": [_members(finding) for finding in findings]}
        verdict = json.dumps(document, indent=2)
    click.echo(verdict)
    ctx.exit(1 if failures else 0)


def _announce(check: Check) -> None:
    """Show at a terminal what is being waited for; its line overwrites this one."""
    if sys.stderr.isatty():
        click.echo(f"[{check.number}/{len(CHECKS)}] .... {check.title}\r", nl=False, err=True)


def _lines(finding: Finding) -> str:
    line = f"[{finding.check.number}/{len(CHECKS)}] {finding.status} {finding.text}"
    return line if finding.repair is None else f"{line}\n        repair: {finding.repair}"


def _members(finding: Finding) -> dict[str, object]:
    check = {"number": finding.check.number, "title": finding.check.title}
    return check | {"status": finding.status, "text": finding.text, "repair": finding.repair}
