"""The query parameters of the feed: where to begin, how much, and the filters of the list of events."""

from dataclasses import replace
from functools import lru_cache
from typing import Final

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from datastorage.audit.parameters import PAGE_LIMIT, parameters
from datastorage.audit.payload_filters import read_payload_filters
from datastorage.errors import Fault, InvalidInput
from datastorage.ledger.feed import FeedWanted, Form
from datastorage.ledger.following import FeedFilter
from datastorage.platform.clock import Clock
from datastorage.platform.web.grammar import Grammar, integer
from datastorage.platform.web.lines import NDJSON
from datastorage.platform.web.literals import strict_integer
from datastorage.platform.web.parameters import Parameter, ParameterReader, Reading
from datastorage.platform.web.sent import Sent

STREAM: Final = "text/event-stream"
LAST_EVENT_ID: Final = "Last-Event-ID"
NOW: Final = "now"
MAX_INDEX: Final = 2**63 - 1
_OF_PAGES: Final = frozenset({"limit", "offset", "order", "include_total", "cursor", "format", "end"})
_LEAF: Final = integer(0, MAX_INDEX)


def _from(text: str) -> int | str | Fault:
    return NOW if text == NOW else _LEAF.judge(text)


FROM: Final = Parameter(
    "from",
    "The first leaf, or `now` for the end of the ledger; the lowest that is not archived unless told.",
    Grammar(_from, {"anyOf": [dict(_LEAF.schema), {"type": "string", "enum": [NOW]}]}),
    empty_is_absent=False,
)
LIMIT: Final = replace(
    PAGE_LIMIT,
    meaning="Leaves of a page; lines are up to 100000, 10000 unless told. A stream has no limit.",
    default=100,
)
LINES_LIMIT: Final = replace(LIMIT, grammar=integer(1, 100_000), default=10_000)
WAIT: Final = Parameter(
    "wait",
    "Seconds that a page without leaves waits for one.",
    integer(0, 30),
    default=0,
    empty_is_absent=False,
)


class FeedQuery(ParameterReader[FeedWanted]):
    """Reads what is wanted of the feed; ``Accept`` says in which form."""

    def __init__(self, clock: Clock) -> None:
        filters = tuple(each for each in parameters(clock, LIMIT) if each.name not in _OF_PAGES)
        rules = (read_payload_filters,)
        super().__init__(FROM, LIMIT, WAIT, *filters, make=_wanted, rules=rules)
        self._lines = ParameterReader(FROM, LINES_LIMIT, *filters, make=_wanted, rules=rules)

    def read(self, sent: Sent) -> FeedWanted:
        """Return what is wanted.

        Raises:
            InvalidInput: naming every bad parameter.
        """
        return self._lines.read(sent) if asks_for_lines(sent) else super().read(sent)


def asks_for_lines(sent: Sent) -> bool:
    """Tell whether lines are wanted, for which another permission is needed; the gates ask the same."""
    return _form(sent.accept) is Form.LINES


def last_seen(header: str | None) -> int | None:
    """Return the leaf that a reader has seen last, as its ``Last-Event-ID`` says.

    Raises:
        InvalidInput: it is no leaf.
    """
    if header is None:
        return None
    index = strict_integer(header)
    if index is None or not 0 <= index < MAX_INDEX:
        fault = Fault("must be the index of a leaf")
        raise InvalidInput.of("query parameters", {LAST_EVENT_ID: fault})
    return index


@lru_cache(maxsize=128)
def _form(accept: str) -> Form:
    forms = {"application/json": Form.PAGE, STREAM: Form.STREAM, NDJSON: Form.LINES}
    chosen = parse_accept_header(accept, MIMEAccept).best_match(list(forms))
    return forms.get(chosen or "", Form.PAGE)


def _wanted(reading: Reading) -> FeedWanted:
    values = reading.values
    start = values["from"]
    return FeedWanted(
        start=None if start == NOW else start,
        is_from_now=start == NOW,
        limit=values["limit"],
        wait_seconds=values.get("wait") or 0,
        form=_form(reading.sent.accept),
        filter=FeedFilter(reading.filter),
    )
