"""What requests about the ledger may say."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from marshmallow import post_load
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from datastorage.errors import InvalidInput, NotFound
from datastorage.ledger.chain import ChainWanted
from datastorage.ledger.errors import MalformedEvidence
from datastorage.ledger.proofs import ProofWanted
from datastorage.ledger.tiles import Tile
from datastorage.platform.web import fields
from datastorage.platform.web.accept import PathContract
from datastorage.platform.web.contract import Contract, Faults
from datastorage.platform.web.grammar import ANY_TEXT
from datastorage.platform.web.parameters import Parameter, ParameterReader

TEXT: Final = "text/plain; charset=utf-8"
RECEIPT: Final = "application/cose"
MAX_CORRELATION_ID: Final = 255


class TilePath:
    """The path of a tile below the log: ``0/000``, ``entries/x001/234.p/56``."""

    field_names: frozenset[str] = frozenset()

    def read(self, data: Mapping[str, Any]) -> Tile:
        """Return the tile.

        Raises:
            NotFound: the path names none.
        """
        try:
            return Tile.at(f"tile/{data['tile']}")
        except (MalformedEvidence, ValueError) as error:
            raise NotFound("not the path of a tile") from error


class ProofPath(PathContract):
    """The id of an event or a statement in a path."""

    resource = "ledger_proof"
    glossary = {"event_id": "The event, or the statement of the ledger."}  # noqa: RUF012 - as in others
    event_id = fields.Uuid(required=True)


class ProofQuery(ParameterReader[ProofWanted]):
    """How a proof is asked for."""

    def __init__(self) -> None:
        super().__init__(
            Parameter(
                "correlation_id",
                "The correlation id of an event that cannot be read any more, because its month has left.",
                ANY_TEXT,
            ),
            make=lambda reading: ProofWanted(
                reading.values["correlation_id"], as_receipt=_prefers_receipt(reading.sent.accept)
            ),
        )


@lru_cache(maxsize=128)
def _prefers_receipt(accept: str) -> bool:
    return parse_accept_header(accept, MIMEAccept).best_match(["text/plain", RECEIPT]) == RECEIPT


class ChainQuestion(Contract):
    """Which events are to be verified."""

    resource = "verify_chain"
    example = {"correlation_id": "rr-2026-0042"}  # noqa: RUF012 - as in others
    glossary = {"correlation_id": "The events of this remediation are verified."}  # noqa: RUF012 - as in others
    correlation_id = fields.Text(required=True, maximum=MAX_CORRELATION_ID)

    def decode(self, body: bytes) -> Any:
        """Return the members of the body.

        Raises:
            InvalidInput: it is no JSON.
        """
        try:
            return super().decode(body)
        except InvalidInput as error:
            raise InvalidInput(error.detail, error.field_errors, slug="invalid-request-body") from error

    def refusal(self, faults: Faults) -> InvalidInput:
        """Return the error in the words of the newer contract."""
        error = super().refusal(faults)
        error.slug = "invalid-request-body"
        fault = faults.get("correlation_id")
        if fault is not None:
            is_missing = fault.reason in {"required", "whitespace_only"}
            error.slug = "missing-correlation-id" if is_missing else "invalid-correlation-id"
        return error

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> ChainWanted:
        """Return what is asked about."""
        return ChainWanted(data["correlation_id"])
