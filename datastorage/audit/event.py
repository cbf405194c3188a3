"""What an audit event is, declared once: table, request, answer, queue and filters follow from it."""

from datetime import date, datetime, timedelta
from operator import itemgetter
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Boolean, Date, Integer, String, Text, Uuid, func
from sqlalchemy.dialects.postgresql import INET

from datastorage.dlq.payload import Payload
from datastorage.platform.clock import Clock
from datastorage.platform.db.columns import JSON_DOCUMENT, TIMESTAMPTZ
from datastorage.platform.records import Member, Normaliser, Shown, in_order, members_of, optional_last, text
from datastorage.platform.web import fields
from datastorage.platform.web.characters import FREE_TEXT
from datastorage.platform.web.documents import JsonObject
from datastorage.platform.web.grammar import ANY_TEXT, ID, one_of

CATEGORIES = (
    "gateway", "notification", "analysis", "aiagent", "signalprocessing", "workflow", "workflowexecution",
    "execution", "orchestration", "approval", "effectiveness", "actiontype", "apifrontend", "security",
    "agentsession",
)  # fmt: skip
DECEMBER = (
    "gateway", "notification", "analysis", "signalprocessing", "workflow", "execution", "orchestration",
)  # fmt: skip
CATEGORIES_BY_CONTRACT = {
    "both": CATEGORIES,
    "december": DECEMBER,
    "newest": tuple(each for each in CATEGORIES if each != "execution"),
}
"""What ``audit.category_contract`` lets in."""

OUTCOMES = ("success", "failure", "pending")
DEFAULT_RETENTION_DAYS = 2555
INT32 = 2**31


class EventInstant(fields.Instant):
    """A timestamp within the accepted window around the server's clock, both ends inclusive.

    The schema sets the clock and the window; a bound of ``None`` is not checked.
    """

    clock: Clock
    oldest: timedelta | None = None
    ahead: timedelta | None = None

    def judge(self, value: Any) -> datetime:
        """Refuse what lies outside the window."""
        at, now = super().judge(value), self.clock()
        if self.ahead is not None and at > now + self.ahead:
            times = f"server time: {_rfc3339(now)}, event time: {_rfc3339(at)}"
            raise fields.refuse(f"timestamp is in the future ({times})", "timestamp_future")
        if self.oldest is not None and at < now - self.oldest:
            days = f"{self.oldest / timedelta(days=1):g}"
            message = f"timestamp is too old (must be within {days} days, age: {now - at})"
            raise fields.refuse(message, "timestamp_too_old")
        return at


def _rfc3339(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _searchable(meaning: str, maximum: int, *aliases: str, **parts: Any) -> Member:
    """Declare a text that events can be found by."""
    return text(meaning, maximum, aliases=aliases, filters=ANY_TEXT, **parts)


def _choice(meaning: str, maximum: int, choices: tuple[str, ...], alias: str, **parts: Any) -> Member:
    """Declare a required text of a closed list."""
    judge = fields.Choice(choices, required=True, maximum=maximum)
    return Member(meaning, String(maximum), judge, aliases=(alias,), **parts)


def _document(meaning: str, *, required: bool = False, **parts: Any) -> Member:
    """Declare a JSON object; the schema replaces these limits by those of the settings."""
    judge = JsonObject(required=required, maximum_bytes=1 << 20, maximum_depth=32)
    return Member(meaning, JSON_DOCUMENT, judge, **parts)


class AuditEvent(msgspec.Struct, frozen=True, kw_only=True, eq=False, gc=False, omit_defaults=True):
    """One normalised event: every default applied, identity fixed, ready to be stored as it is.

    The order of the members is the order in which faults of a request are reported (BR-STORAGE-002).
    ``event_data`` and ``event_metadata`` are compact JSON text. A Struct, because a frozen dataclass takes
    five times as long to make.
    """

    # Formatted by hand, as a table is: the formatter spreads each declaration over ten lines.
    # fmt: off

    event_version: Annotated[str, text(
        "Version of the event's format, `1.0` today.", 20, required=True, default="1.0", server_default="1.0",
        wire="version", aliases=("event_version",),
    )]
    event_type: Annotated[str, _searchable(
        "What happened, by convention `<service>.<subject>.<verb>`; any text is accepted.", 100, required=True
    )]
    event_timestamp: Annotated[datetime, Member(
        "When it happened: RFC 3339 with a time zone, kept to the microsecond. At most seven days back "
        "and five minutes ahead of the server's clock, unless configured otherwise.",
        TIMESTAMPTZ, EventInstant(required=True), server_default=func.now(),
    )]
    event_category: Annotated[str, _choice(
        "The service that reports the event.", 50, CATEGORIES, "service", filters=ANY_TEXT
    )]
    event_action: Annotated[str, _searchable("What was done.", 50, "operation", required=True)]
    event_outcome: Annotated[str, _choice("How it ended.", 20, OUTCOMES, "outcome", filters=one_of(OUTCOMES))]
    correlation_id: Annotated[str, _searchable(
        "Links all events of one remediation; compared exactly.", 255, required=True
    )]
    event_data: Annotated[str, _document(
        "The payload, any JSON object: by default at most 1 MiB as compact JSON with every number in plain "
        "decimal form, together with `event_metadata`, and 32 levels deep. Integers of any size are kept "
        "exactly.",
        required=True, default="{}",
    )]
    actor_type: Annotated[str, _searchable("Kind of actor; `service` when absent.", 50, default="service")]
    actor_id: Annotated[str, _searchable(
        "Who did it; `<event_category>-service` when absent.", 255,
        default=lambda values: f"{values['event_category']}-service",
    )]
    resource_type: Annotated[str, _searchable(
        "Kind of the thing acted upon; `event_category` when absent.", 100,
        default=itemgetter("event_category"),
    )]
    resource_id: Annotated[str, _searchable(
        "Which one; `correlation_id` when absent.", 255, default=itemgetter("correlation_id")
    )]
    parent_event_id: Annotated[UUID | None, Member(
        "An event that is stored already, or comes in the same batch with its own `event_id`.",
        Uuid(), fields.Uuid(), filters=ID,
    )] = None
    namespace: Annotated[str | None, _searchable(
        "Kubernetes namespace.", 253, "resource_namespace", shown=Shown.BLANK
    )] = None
    cluster_name: Annotated[str | None, _searchable(
        "Kubernetes cluster.", 255, "cluster_id", shown=Shown.BLANK
    )] = None
    severity: Annotated[str, _searchable(
        "Free text, usually `info`, `warning`, `error` or `critical`; `info` when absent.", 20,
        default="info", shown=Shown.BLANK, nullable=True,
    )]
    duration_ms: Annotated[int | None, Member(
        "How long it took, in milliseconds.", Integer(), fields.Integer(minimum=-INT32, maximum=INT32 - 1)
    )] = None
    event_id: Annotated[UUID, Member(
        "Identity of the event, whatever its date. A client that sends its own may repeat the request: the "
        "event is stored once. The nil UUID counts as absent; without an id the service makes one.",
        Uuid(), fields.Uuid(), server_default=func.gen_random_uuid(),
    )]
    # As the client sent it; the store writes the date under which it finds the parent.
    parent_event_date: Annotated[date | None, Member(
        "Date of the parent. In a request it only helps to find the parent faster.", Date(), fields.DateHint()
    )] = None
    actor_ip: Annotated[str | None, Member(
        "From where; an IPv4 or IPv6 address without a zone.", INET(), fields.IpAddress(),
        shown=Shown.WHEN_SET,
    )] = None
    resource_name: Annotated[str | None, text("Its name for people.", 255, shown=Shown.WHEN_SET)] = None
    trace_id: Annotated[str | None, _searchable(
        "Trace of distributed tracing.", 255, shown=Shown.WHEN_SET
    )] = None
    span_id: Annotated[str | None, text("Span of distributed tracing.", 255, shown=Shown.WHEN_SET)] = None
    event_metadata: Annotated[str | None, _document(
        "Further JSON about the event itself; same limits as `event_data`.", shown=Shown.WHEN_SET
    )] = None
    error_code: Annotated[str | None, text("Code of the error, if it failed.", 50, shown=Shown.BLANK)] = None
    error_message: Annotated[str | None, Member(
        "The error in words.", Text(), fields.Text(maximum=65536, characters=FREE_TEXT), shown=Shown.BLANK
    )] = None
    retention_days: Annotated[int, Member(
        "How long to keep it; 0 counts as absent and means 2555.", Integer(),
        fields.Integer(minimum=1, maximum=DEFAULT_RETENTION_DAYS, zero_is_absent=True),
        default=DEFAULT_RETENTION_DAYS, nullable=True, server_default=str(DEFAULT_RETENTION_DAYS),
    )]
    is_sensitive: Annotated[bool, Member(
        "Whether the payload needs care; `false` when absent.", Boolean(), fields.Boolean(),
        default=False, nullable=True, server_default="false",
    )]
    event_date: Annotated[date, Member(
        "The UTC date of `event_timestamp`; the partition key.", Date(),
        default=lambda values: values["event_timestamp"].date(), is_queued=False,
    )]
    # Fixed with the identity: replay stores the time of the 202. What a client sends is ignored.
    received_at: Annotated[datetime, Member(
        "When the service accepted it, by its own clock; the same for all events of a batch. Events stored "
        "before the service kept this have their `event_timestamp` here.",
        TIMESTAMPTZ, server_default=func.clock_timestamp(),
    )]
    # Lets the store recognise an event that is sent again.
    has_client_id: Annotated[bool, Member(
        "Whether the id came with the request.", is_queued=False, shown=Shown.NEVER
    )] = False
    # Default and claim look alike, and only a claim is kept when a person sends the event.
    has_client_actor_type: Annotated[bool, Member(
        "Whether the type of the actor came with the request.", is_queued=False, shown=Shown.NEVER
    )] = False
    has_client_actor_id: Annotated[bool, Member(
        "Whether the id of the actor came with the request.", is_queued=False, shown=Shown.NEVER
    )] = False

    # fmt: on


_ANSWERED_FIRST = (
    "event_id", "event_timestamp", "event_date", "received_at", "event_type", "version", "event_category",
    "event_action", "event_outcome", "correlation_id", "parent_event_id", "parent_event_date",
    "resource_type", "resource_id", "namespace", "cluster_name", "severity", "duration_ms", "error_code",
    "error_message", "actor_id", "actor_type", "retention_days", "is_sensitive", "event_data", "actor_ip",
    "resource_name", "trace_id", "span_id", "event_metadata",
)  # fmt: skip

MEMBERS = optional_last(in_order(members_of(AuditEvent), _ANSWERED_FIRST))
"""The members of an event in the order of answers."""

normalised = Normaliser(
    AuditEvent,
    supplied=("event_id", "received_at", "has_client_id", "has_client_actor_type", "has_client_actor_id"),
)
"""Makes an event of what a client sent or the queue kept."""

_PAYLOAD: Final = Payload(AuditEvent)

to_payload = _PAYLOAD.encode
"""Returns what the dead-letter queue keeps of an event, the parent's date as its client sent it included."""


def from_payload(payload: dict[str, Any]) -> AuditEvent:
    """Return the event as it was acknowledged; its id makes the write idempotent.

    Raises:
        InvalidPayload: a member is missing or has a type that no column takes.
    """
    return normalised(_PAYLOAD.decode(payload) | {"has_client_id": True})
