"""What the endpoints of the ledger answer."""

from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from datastorage.platform.web.shapes import meaning


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """The newest note."""

    size: int
    note: str

    @property
    def etag(self) -> str:
        """The validator: a size has one checkpoint."""
        return f'"{self.size}"'


@dataclass(frozen=True, slots=True)
class NotModified:
    """The client has the newest note."""

    etag: str


@dataclass(frozen=True, slots=True)
class Served:
    """Bytes that never change."""

    content: bytes


class KeyRecord(msgspec.Struct, kw_only=True):
    """A key, and which checkpoints it signed."""

    vkey: Annotated[str, meaning("The key as verifiers take it.")]
    algorithm: Annotated[Literal["Ed25519"], meaning("Always `Ed25519`.")]
    public_key_pem: Annotated[str, meaning("The key for tools that know neither notes nor names.")]
    added_at: Annotated[str, meaning("When it began to sign.")]
    added_leaf: Annotated[int, meaning("The leaf that says so.")]
    retired_at: Annotated[str | None, meaning("When it ceased to sign.")]
    retired_leaf: Annotated[int | None, meaning("The leaf that says so.")]


class Keys(msgspec.Struct, frozen=True):
    """Every key ever used, the oldest first."""

    origin: Annotated[str, meaning("The name of the log; empty while nothing was ever signed.")]
    keys: Annotated[list[KeyRecord], meaning("The keys.")]


@dataclass(frozen=True, slots=True)
class TextProof:
    """A proof as text."""

    event_id: UUID
    text: str


@dataclass(frozen=True, slots=True)
class ReceiptProof:
    """The same as a receipt of COSE."""

    content: bytes


class Tampered(msgspec.Struct, frozen=True, kw_only=True):
    """An event that is not what was sealed."""

    event_id: Annotated[UUID, meaning("The event.")]
    event_timestamp: Annotated[str, meaning("Its time; its date where it is missing.")]
    expected_hash: Annotated[str, meaning("The link of the chain as it was sealed.")]
    actual_hash: Annotated[str, meaning("The same for the event as it is stored, empty where it is missing.")]
    previous_hash: Annotated[str, meaning("The link before, empty at the first.")]
    message: Annotated[str, meaning("What differs.")]


class ChainVerified(msgspec.Struct, frozen=True, kw_only=True):
    """What a comparison of the stored events of a correlation id with their leaves came to."""

    correlation_id: Annotated[str, meaning("As asked.")]
    is_valid: Annotated[bool, meaning("Whether every sealed event is there as it was sealed.")]
    total_events: Annotated[int, meaning("Events that are stored.")]
    verified_events: Annotated[int, meaning("Those that equal their leaves.")]
    skipped_null_hash: Annotated[int, meaning("Those without a leaf; the same as `unsealed_events`.")]
    tampered_events: Annotated[list[Tampered], meaning("What is wrong.")]
    verification_time: Annotated[str, meaning("When this was found out.")]
    message: Annotated[str, meaning("The result in words.")]
    missing_events: Annotated[int, meaning("Leaves whose event is gone, and nothing says why.")]
    unsealed_events: Annotated[int, meaning("Stored events without a leaf.")]
    archived_events: Annotated[int, meaning("Leaves whose event has left with its month.")]
    checkpoint: Annotated[str | None, meaning("The newest signed checkpoint.")]
