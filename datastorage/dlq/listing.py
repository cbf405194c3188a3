"""How operators see an entry: as a line of a table, as a document, as a line of a backup."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import click
import msgspec

from datastorage.dlq.entry import Entry, Stream, Unreadable, decode
from datastorage.dlq.keys import Delivery
from datastorage.platform.logs import redact

Row = tuple[str, ...]

HEADER: Row = ("ID", "RECORD", "CORRELATION", "REASON", "RETRIES", "AGE")


def summary_of(delivery: Delivery, now: datetime) -> dict[str, Any]:
    """Return what a list says about an entry: no payload."""
    try:
        entry: Entry | None = decode(delivery.message)
    except Unreadable:
        entry = None
    why_dead = delivery.fields.get(b"reason")
    return {
        "id": delivery.id,
        "notification_id" if delivery.stream is Stream.NOTIFICATIONS else "event_id": (
            entry.record_id if entry else None
        ),
        "correlation_id": entry.correlation_id if entry else None,
        "reason": why_dead.decode() if why_dead else entry.reason if entry else "unparseable",
        "retry_count": entry.retry_count if entry else None,
        "age_seconds": round((now - entry.first_enqueued_at).total_seconds()) if entry else None,
    }


def row_of(summary: dict[str, Any]) -> Row:
    """Return the line of a table for ``summary``."""
    *shown, age_seconds = summary.values()
    cells = ["-" if value in {None, ""} else str(value) for value in shown]
    return *cells, "-" if age_seconds is None else age(age_seconds)


def age(seconds: float) -> str:
    """Return a duration with its two largest units: ``3d 4h``, ``12m 5s``."""
    units = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
    left = max(int(seconds), 0)
    parts: list[str] = []
    for name, size in units:
        count, left = divmod(left, size)
        if count or (parts and len(parts) < 2):  # noqa: PLR2004 - "two largest" is the promise above
            parts.append(f"{count}{name}")
    return " ".join(parts[:2]) or "0s"


def document_of(delivery: Delivery, *, reveal: bool) -> bytes:
    """Return everything that is known of one entry, secrets in it masked unless ``reveal``."""
    members = {"id": delivery.id, **_members(delivery)}
    if not reveal:
        members = {name: redact(name, value) for name, value in members.items()}
    return msgspec.json.format(_encoder.encode(members), indent=2)


def line_of(delivery: Delivery) -> bytes:
    """Return one entry as a line of JSON, with nothing left out."""
    return _encoder.encode({"id": delivery.id, **_members(delivery)}) + b"\n"


_encoder = msgspec.json.Encoder(decimal_format="number")
_exact_decoder = msgspec.json.Decoder(float_hook=Decimal)


def _members(delivery: Delivery) -> dict[str, Any]:
    return {
        name.decode("utf-8", errors="backslashreplace"): _value(name, value)
        for name, value in delivery.fields.items()
    }


def _value(name: bytes, value: bytes) -> Any:
    """Return the text of a field, or what its JSON says where it is supposed to be JSON."""
    if name in {b"message", b"raw"}:
        try:
            return _exact_decoder.decode(value)
        except (msgspec.DecodeError, ValueError, ArithmeticError, RecursionError):
            pass
    return value.decode("utf-8", errors="backslashreplace")


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print ``rows``, the first being the header, in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
