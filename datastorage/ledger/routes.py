"""The endpoints of the ledger: the log as C2SP serves it, proofs, and the comparison of chains."""

from uuid import UUID

from flask import Blueprint

from datastorage.ledger.chain import ChainVerifier, ChainWanted
from datastorage.ledger.feed import Feed, FeedExport, FeedStream, FeedWanted, Form, HeldPage
from datastorage.ledger.feed_page import FeedPage
from datastorage.ledger.feed_parameters import (
    STREAM,
    FeedQuery,
    asks_for_lines,
    last_seen,
)
from datastorage.ledger.model import (
    ChainVerified,
    Keys,
    NotModified,
    ReceiptProof,
    Served,
    SignedCheckpoint,
    TextProof,
)
from datastorage.ledger.proofs import Proofs, ProofWanted
from datastorage.ledger.reader import LedgerReader
from datastorage.ledger.schemas import RECEIPT, TEXT, ChainQuestion, ProofPath, ProofQuery, TilePath
from datastorage.ledger.tiles import Tile
from datastorage.platform.access.permissions import Permission
from datastorage.platform.server.held import TAKER
from datastorage.platform.web.current import current
from datastorage.platform.web.lines import NDJSON, Lines
from datastorage.platform.web.operations import Answer, operation
from datastorage.platform.web.requests import Request

ETAG = "ETag"
SEEN = "HTTP_LAST_EVENT_ID"
"""Key of the WSGI environ."""
PROBLEMS = ("not-found", "service-unavailable", "query-timeout")

blueprint = Blueprint("ledger", __name__, url_prefix="/api/v1/audit")


@blueprint.get("/ledger/checkpoint")
@operation(
    Permission.READ,
    can_be_public=True,
    wants_request=True,
    answers=(
        Answer(
            SignedCheckpoint,
            200,
            str,
            "The newest signed checkpoint.",
            media_type=TEXT,
            body=lambda newest: newest.note.encode(),
            headers=lambda newest: {ETAG: newest.etag},
            announces=(ETAG,),
            cache="public, max-age=1",
        ),
        Answer(
            NotModified,
            304,
            str,
            "It is the one that the client has.",
            media_type=TEXT,
            body=lambda _: b"",
            headers=lambda same: {ETAG: same.etag},
            announces=(ETAG,),
            cache="public, max-age=1",
        ),
    ),
    problems=(*PROBLEMS, "ledger/unsigned"),
)
def get_checkpoint(request: Request) -> SignedCheckpoint | NotModified:
    """Read the newest signed checkpoint of the ledger, a note of C2SP `tlog-checkpoint`.

    `If-None-Match` with its `ETag`, the size of the tree, is answered by 304.
    """
    newest = current(LedgerReader).checkpoint()
    return NotModified(newest.etag) if request.has_validator(newest.etag) else newest


@blueprint.get("/ledger/tile/<path:tile>")
@operation(
    Permission.READ,
    can_be_public=True,
    path=TilePath,
    answers=(
        Answer(
            Served,
            200,
            None,
            "Hashes, or leaves each after its length in two bytes.",
            media_type="application/octet-stream",
            body=lambda served: served.content,
            cache="public, max-age=31536000, immutable",
        ),
    ),
)
def get_tile(tile: Tile) -> Served:
    """Read a tile of the ledger, or a bundle of its leaves, as C2SP `tlog-tiles` names them."""
    return current(LedgerReader).tile(tile)


@blueprint.get("/ledger/keys")
@operation(
    Permission.READ,
    can_be_public=True,
    answers=(Answer(Keys, 200, Keys, "Every key, the oldest first.", cache="public, max-age=300"),),
    problems=PROBLEMS,
)
def get_keys() -> Keys:
    """Read the keys that have signed the ledger."""
    return current(LedgerReader).keys()


@blueprint.get("/events/<event_id>/proof")
@operation(
    Permission.READ,
    path=ProofPath,
    query=ProofQuery,
    audited=True,
    answers=(
        Answer(
            TextProof,
            200,
            str,
            "The proof as text.",
            media_type=TEXT,
            body=lambda proof: proof.text.encode(),
            headers=lambda proof: {
                "Content-Disposition": f'inline; filename="{proof.event_id}.tlog-proof"',
                "Vary": "Accept",
            },
            rows=lambda _: 1,
            cache="public, max-age=60",
        ),
        Answer(
            ReceiptProof,
            200,
            bytes,
            "The proof as a receipt of RFC 9942.",
            media_type=RECEIPT,
            body=lambda proof: proof.content,
            headers=lambda _: {"Vary": "Accept"},
            rows=lambda _: 1,
            cache="public, max-age=60",
        ),
    ),
    problems=("validation-error", *PROBLEMS, "ledger/not-sealed", "ledger/unsigned"),
)
def get_proof(event_id: UUID, wanted: ProofWanted) -> TextProof | ReceiptProof:
    """Read the proof that an event, or a statement of the ledger, is in the tree.

    As C2SP `tlog-proof`, or with `Accept: application/cose` as a COSE receipt.
    `datastorage verify event` checks either offline.
    """
    return current(Proofs).prove(event_id, wanted)


@blueprint.post("/verify-chain")
@operation(
    Permission.READ,
    body=ChainQuestion,
    audited=True,
    answers=(
        Answer(
            ChainVerified,
            200,
            ChainVerified,
            "What the comparison came to.",
            rows=lambda found: found.total_events,
        ),
    ),
    problems=(
        "invalid-request-body", "missing-correlation-id", "invalid-correlation-id",
        "service-unavailable", "query-timeout",
    ),
)  # fmt: skip
def verify_chain(wanted: ChainWanted) -> ChainVerified:
    """Compare the stored events of a correlation id with what was sealed.

    Waits up to two seconds for events that were just written. 200 also when tampering is found.
    """
    return current(ChainVerifier).verify(wanted)


def _lines(export: FeedExport) -> Lines:
    return Lines(export, f"{blueprint.url_prefix}/feed")


@blueprint.get("/feed")
@operation(
    Permission.READ,
    query=FeedQuery,
    wants_request=True,
    audited=True,
    exports=asks_for_lines,
    answers=(
        Answer(FeedPage, 200, FeedPage, "Leaves in their order.", rows=lambda page: len(page.data)),
        Answer(HeldPage, 200, None, "The same, later.", stream=True, in_document=False),
        Answer(FeedStream, 200, None, "A stream.", media_type=STREAM, stream=True, in_document=False),
        Answer(
            FeedExport, 200, None, "Lines.", media_type=NDJSON, body=_lines, stream=True, in_document=False
        ),
    ),
    problems=(
        "validation-error", "ledger/beyond-end", "ledger/feed-gone", "followers-busy", "too-many-exports",
        "service-unavailable", "query-timeout",
    ),
)  # fmt: skip
def follow_feed(request: Request, wanted: FeedWanted) -> FeedPage | HeldPage | FeedStream | FeedExport:
    """Read on along the ledger: every leaf in its order, or with filters the events that match.

    `next` is never null and follows the last leaf that was looked at: ask again with `from` set to it. With
    `wait` a page that would be empty waits for something to tell.

    `Accept: text/event-stream` gives a stream that goes on for as long as the client reads, and resumes by
    `Last-Event-ID`; `Accept: application/x-ndjson` gives lines, the last of which tells whether they are all.
    """
    feed = current(Feed)
    if wanted.form is Form.LINES:
        return feed.export(wanted)
    if wanted.form is Form.STREAM:
        outcome: FeedPage | HeldPage | FeedStream = feed.stream(wanted, last_seen(request.environ.get(SEEN)))
    else:
        outcome = feed.page(wanted)
    if isinstance(outcome, HeldPage | FeedStream):
        request.environ[TAKER] = outcome
    return outcome
