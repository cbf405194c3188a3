"""``datastorage verify``: check evidence. It needs neither configuration nor network, unless a log is a URL.

Exit codes: 0 good, 1 evidence of tampering, 2 wrong usage, 3 something needed is missing.
"""

import gzip
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from functools import wraps
from io import BufferedReader
from pathlib import Path
from typing import Any, Final

import click

from datastorage.ledger.errors import MalformedEvidence
from datastorage.ledger.keys import VerifierKey
from datastorage.verification.doubts import Doubt, Incomplete, Word
from datastorage.verification.event import proof_of, verify_event
from datastorage.verification.exported import Exported
from datastorage.verification.log import LogCheck
from datastorage.verification.signatures import Witnesses
from datastorage.verification.sources import source_at

_GZIP: Final = b"\x1f\x8b"
_PARQUET: Final = b"PAR1"


FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


class Keys(click.ParamType[tuple[VerifierKey, ...]]):
    """A vkey, or a file with one vkey a line; empty lines and lines with ``#`` in front are skipped."""

    name = "key"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[VerifierKey, ...]:
        """Return the keys."""
        try:
            lines = Path(value).read_text("utf-8").splitlines() if Path(value).is_file() else [value]
            keys = tuple(VerifierKey.of(each) for line in lines if (each := line.strip()) and each[0] != "#")
        except (OSError, ValueError) as error:
            self.fail(f"{error}", param, ctx)
        if not keys:
            self.fail("the file has no vkey", param, ctx)
        return keys


key_option = click.option(
    "--key", "keys", type=Keys(), required=True, help="The vkey of the log, or a file of vkeys, one a line."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def reports(check: Callable[..., str]) -> Callable[..., None]:
    """Print what a check found, and end with its exit code."""

    @json_option
    @wraps(check)
    def command(*, as_json: bool, **arguments: Any) -> None:
        try:
            found, exit_code = {"result": "ok", "about": check(**arguments)}, 0
        except Doubt as doubt:
            found = {"result": doubt.result, "word": doubt.word.value, "about": doubt.about}
            exit_code = doubt.exit_code
        except MalformedEvidence as error:
            raise click.UsageError(str(error)) from error
        click.echo(json.dumps(found) if as_json else _lines(found))
        click.get_current_context().exit(exit_code)

    return command


def _lines(found: dict[str, str]) -> str:
    return "\n".join(found.values()) if "word" not in found else " ".join(found.values())


@click.group()
def verify() -> None:
    """Check an event, a log or an archived month against the ledger's public key.

    The first line of output is `ok`, or `TAMPERED` or `incomplete` with one word and what it concerns. Exits
    with 0 when all is good, 1 on evidence of tampering, 2 on wrong usage, 3 when something needed is missing.
    """


@verify.command()
@click.argument("event", type=FILE)
@click.argument("proof", type=FILE)
@key_option
@click.option(
    "--witness", "witnesses", type=Keys(), multiple=True, help="The vkey of a witness; may be repeated."
)
@click.option(
    "--quorum", type=click.IntRange(min=1), help="How many witnesses have to have cosigned; all without it."
)
@reports
def event(
    event: Path,
    proof: Path,
    keys: tuple[VerifierKey, ...],
    witnesses: tuple[tuple[VerifierKey, ...], ...],
    quorum: int | None,
) -> str:
    """Check that EVENT is in the ledger, by its PROOF.

    EVENT is a file with the text of an event or a statement, byte for byte as the service returned it; one
    line feed at its end is dropped. PROOF is a .tlog-proof or a .cose file.
    """
    known = tuple(key for each in witnesses for key in each)
    names = {key.name for key in known}
    if quorum is not None and quorum > len(names):
        raise click.BadParameter(f"only {len(names)} witnesses are given", param_hint="--quorum")
    wanted = Witnesses(known, len(names) if quorum is None else quorum)
    return verify_event(event.read_bytes(), proof_of(proof.read_bytes()), keys, wanted)


@verify.command()
@click.argument("log", metavar="DIR-or-URL")
@key_option
@click.option("--since", type=FILE, help="An older checkpoint; the log has to have grown from it.")
@click.option("--events", type=FILE, help="A feed export as NDJSON; each line has to equal its leaf.")
@reports
def log(log: str, keys: tuple[VerifierKey, ...], since: Path | None, events: Path | None) -> str:
    """Check every tile and every leaf of a log up to its signed root.

    The log is a folder or a base URL in the layout of C2SP tlog-tiles.
    """
    with source_at(log) as source:
        check = LogCheck(source, keys, since.read_bytes() if since else None)
        if events is None:
            return _run(check, None)
        with events.open("rb") as lines:
            return _run(check, Exported(lines))


@verify.command()
@click.argument("file", type=FILE)
@click.option("--log", required=True, metavar="DIR", help="Folder or URL of the log.")
@key_option
@reports
def archive(file: Path, log: str, keys: tuple[VerifierKey, ...]) -> str:
    """Check that each event of an archived month equals its leaf.

    FILE is NDJSON, also gzip, with a leaf_index and an event in each line.
    """
    with source_at(log) as source, file.open("rb") as opened:
        return _run(LogCheck(source, keys), Exported(_lines_in(opened)))


def _lines_in(file: BufferedReader) -> Iterator[bytes]:
    start = file.peek(len(_PARQUET))
    if start.startswith(_PARQUET):
        raise click.UsageError("Parquet needs pip install 'datastorage-client[archive]'")
    if not start.startswith(_GZIP):
        yield from file
        return
    try:
        with gzip.open(file) as lines:
            yield from lines
    except (OSError, EOFError, zlib.error) as error:
        raise Incomplete(Word.MISSING, f"the file cannot be unpacked to its end: {error}") from error


def _run(check: LogCheck, exported: Exported | None) -> str:
    bar = click.progressbar(
        length=2 * check.checkpoint.size, label="Checking", file=sys.stderr, hidden=not sys.stderr.isatty()
    )
    with bar:
        return check.run(exported, bar.update)
