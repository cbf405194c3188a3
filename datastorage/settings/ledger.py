"""The ledger: what is sealed, how often, and who signs."""

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from marshmallow import ValidationError
from marshmallow.fields import Field

from datastorage.settings import kinds
from datastorage.settings.keys import optional, setting

_MAX_ORIGIN_BYTES = 255
_TARGET = re.compile(r"file:/\S+|https://\S+|http://(localhost|127\.0\.0\.1|\[::1\])([:/]\S*)?")
_WITNESS = re.compile(r"\S+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+ https?://\S+")


def _check_origin(name: str) -> None:
    is_plain = name.isprintable() and "+" not in name and not any(map(str.isspace, name))
    if not is_plain or len(name.encode()) > _MAX_ORIGIN_BYTES:
        raise ValidationError("must be 1 to 255 bytes without white space, + and control characters")


def _target() -> Field[str]:
    """A folder, or a URL; without TLS on this machine only."""

    def check(text: str) -> None:
        if not _TARGET.fullmatch(text):
            raise ValidationError("must hold file: with an absolute folder, or https:// URLs")

    return kinds.text(check)


def _witness() -> Field[str]:
    """A vkey and a URL."""

    def check(text: str) -> None:
        if not _WITNESS.fullmatch(text):
            raise ValidationError("must hold a vkey, a space and a URL for each witness")

    return kinds.text(check)


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
        max_waiting_writes: of a worker, whose clients wait for the leaf; each holds a thread.
        publish: where signed checkpoints go: ``file:`` folders and URLs.
        publish_token_file: the bearer token for URLs.
        publish_interval: between two publications.
        audit_daily: whether the record is compared with the ledger once a day.
        witnesses: each a vkey and a URL; they cosign what is published.
    """

    enabled: bool = setting(kinds.flag(), "true")
    origin: str | None = optional(kinds.text(_check_origin))
    signing_key_file: Path | None = optional(kinds.text(then=Path))
    next_key_file: Path | None = optional(kinds.text(then=Path))
    seal_interval: timedelta = setting(kinds.duration("100ms", "60s"), "500ms")
    seal_batch: int = setting(kinds.integer(256, 65536), "4096")
    max_waiting_writes: int = setting(kinds.integer(0), "8")
    publish: tuple[str, ...] = setting(kinds.listing(_target()), "")
    publish_token_file: Path | None = optional(kinds.file())
    publish_interval: timedelta = setting(kinds.duration("1s", "1h"), "60s")
    witnesses: tuple[str, ...] = setting(kinds.listing(_witness()), "")
    audit_daily: bool = setting(kinds.flag(), "true")


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSettings:
    """Connections that follow the ledger.

    Attributes:
        max_followers: streams and held answers of a worker.
        poll_interval: how often a worker asks for new leaves while somebody follows.
        heartbeat: a stream without data for this long is told that it stands.
    """

    max_followers: int = setting(kinds.integer(0, 10_000), "1000")
    poll_interval: timedelta = setting(kinds.duration("100ms", "10s"), "500ms")
    heartbeat: timedelta = setting(kinds.duration("1s", "60s"), "15s")
