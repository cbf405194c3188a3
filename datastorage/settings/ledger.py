"""The ledger: what is sealed, how often, and who signs."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from marshmallow import ValidationError

from datastorage.settings import kinds
from datastorage.settings.keys import optional, setting

_MAX_ORIGIN_BYTES = 255


def _check_origin(name: str) -> None:
    is_plain = name.isprintable() and "+" not in name and not any(map(str.isspace, name))
    if not is_plain or len(name.encode()) > _MAX_ORIGIN_BYTES:
        raise ValidationError("must be 1 to 255 bytes without white space, + and control characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings:
    """The ledger.

    Attributes:
        enabled: whether events get leaves; what was stored meanwhile waits for a backfill.
        origin: names the log, and its keys.
        signing_key_file: PKCS#8 PEM, Ed25519; without it nothing is signed.
        next_key_file: signs beside it while verifiers learn the new key.
        seal_interval: between two rounds.
        seal_batch: events of one round.
    """

    enabled: bool = setting(kinds.flag(), "true")
    origin: str | None = optional(kinds.text(_check_origin))
    signing_key_file: Path | None = optional(kinds.text(then=Path))
    next_key_file: Path | None = optional(kinds.text(then=Path))
    seal_interval: timedelta = setting(kinds.duration("100ms", "60s"), "500ms")
    seal_batch: int = setting(kinds.integer(256, 65536), "4096")
