"""A request as gates and operations see it: an id, a route, parameters, and a body within its limit."""

import re
from os import urandom
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, unquote_to_bytes
from wsgiref.types import WSGIEnvironment

from gunicorn.http.errors import ParseException
from werkzeug.http import parse_etags

from datastorage.errors import (
    DataStorageError,
    Fault,
    InvalidInput,
    Overloaded,
    RequestTimeout,
    RequestTooLarge,
    UnsupportedMediaType,
)
from datastorage.platform.access.permissions import Permission
from datastorage.platform.logs import RequestContext, request_context
from datastorage.platform.web.characters import NUL
from datastorage.platform.web.media_types import BodyType
from datastorage.platform.web.sent import Sent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datastorage.platform.access.caller import Caller
    from datastorage.platform.access.rates import Quota
    from datastorage.platform.web.routing import Endpoint, Routes

ROUTE: Final = "datastorage.route"
"""Key of the WSGI environ: the route as metrics call it, for what stands around the application."""
REFUSAL: Final = "datastorage.refusal"
"""Key of the WSGI environ: why the server gives a request up, one of the three below."""
LATE: Final = "late"
"""Its body did not arrive in time."""
NO_ROOM: Final = "no_room"
"""The bodies of other requests take all the memory there is for them."""
NO_THREAD: Final = "no_thread"
"""Other requests held all threads of its class for too long."""
WAITED_SECONDS: Final = "datastorage.waited_seconds"
"""Key of the WSGI environ: how long the request waited for its thread."""
HEAD_ALONE: Final = "datastorage.head_alone"
"""Key of the WSGI environ: the server awaits the body of the request once the gates have admitted it."""

REQUEST_ID: Final = "X-Request-ID"
CORRELATION_ID: Final = "X-Correlation-ID"

UNMATCHED: Final = "unmatched"
"""What metrics and the log call the route of a request that has none."""
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER_METHOD: Final = "OTHER"
"""What metrics call any other method: a client must not invent series."""

_LATE = "the request body did not arrive in time"
_REQUEST_ID_PATTERN = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
_TRACEPARENT_PATTERN = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
_BROKEN_ESCAPE_PATTERN = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Request:
    """One request. The gates fill in what they find out, in their order.

    Attributes:
        environ: what the server handed over.
        path: decoded; never the query.
        request_id: the client's own when it cannot harm a log or a header, else one that is made here.
        started_seconds: when it began, on the monotonic clock.
        endpoint: the operation that it asks for, ``None`` until it is routed and where there is none.
        variables: those of the path, by name.
        permission: what the caller needs.
        quota: what the caller may still send, ``None`` without a limit.
        caller: who sent it, ``None`` until it is known and where nobody asks.
        unrouted: why it asks for none, until that is answered.
        log_fields: what the line about the request tells beside what all of them do.
        rows: how many records the answer shows, ``None`` when unknown.
        form: the fields of the form that was sent, empty until they are read.
        added: further headers of the answer, which depend on more than the outcome.
    """

    __slots__ = (
        "_sent", "added", "caller", "endpoint", "environ", "form", "log_fields", "method", "path",
        "permission", "quota", "request_id", "rows", "started_seconds", "unrouted", "variables",
    )  # fmt: skip

    def __init__(self, environ: WSGIEnvironment, started_seconds: float) -> None:
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.path = _decoded(environ.get("PATH_INFO", ""))
        self.request_id = ""
        self.started_seconds = started_seconds
        self.endpoint: Endpoint | None = None
        self.unrouted: DataStorageError | None = None
        self.variables: Mapping[str, Any] = {}
        self.permission = Permission.IDENTITY
        self.caller: Caller | None = None
        self.log_fields: Mapping[str, object] = {}
        self.rows: int | None = None
        self.quota: Quota | None = None
        self.form: Mapping[str, str] = {}
        self.added: tuple[tuple[str, str], ...] = ()
        self._sent: Sent | None = None

    def go_on(self, environ: WSGIEnvironment, started_seconds: float) -> None:
        """Go on with a request whose body has arrived since it was admitted."""
        self.environ = environ
        self.started_seconds = started_seconds

    def identify(self) -> None:
        """Choose the id, and let what this thread logs belong to the request."""
        environ = self.environ
        if not self.request_id:
            given = environ.get("HTTP_X_REQUEST_ID")
            kept = given if given and _REQUEST_ID_PATTERN.fullmatch(given) else None
            self.request_id = kept or f"req-{urandom(16).hex()}"
        parent = environ.get("HTTP_TRACEPARENT")
        trace = _TRACEPARENT_PATTERN.fullmatch(parent) if parent else None
        trace_id, span_id = trace.groups() if trace else (None, None)
        request_context.set(
            RequestContext(self.request_id, environ.get("HTTP_X_CORRELATION_ID"), trace_id, span_id)
        )

    def has_validator(self, etag: str) -> bool:
        """Tell whether the client says that it has what ``etag`` stands for."""
        sent = self.environ.get("HTTP_IF_NONE_MATCH", "")
        return bool(sent) and parse_etags(sent).contains_weak(etag.strip('"'))

    def route(self, routes: "Routes") -> None:
        """Find the operation and the variables of the path.

        A path with an encoded slash, which ends no segment, is looked up as it was sent.

        Raises:
            NotFound: no rule fits.
            MethodNotAllowed: one fits, with other methods.
        """
        target: str = self.environ.get("RAW_URI", "")
        if "%" not in target or "%2f" not in (sent := target.partition("?")[0]).lower():
            self.endpoint, self.variables = routes.find(self.method, self.path)
            return
        self.endpoint, variables = routes.find(self.method, sent)
        self.variables = {name: unquote(text, errors="replace") for name, text in variables.items()}

    @property
    def rule(self) -> str:
        """The rule by which it was routed, as the log calls it."""
        return UNMATCHED if self.endpoint is None else self.endpoint.rule

    @property
    def labels(self) -> tuple[str, str]:
        """Method and path as metrics call them: few of each, whatever clients send."""
        template = UNMATCHED if self.endpoint is None else self.endpoint.template
        return self.method if self.method in METHODS else OTHER_METHOD, template

    def sent(self, resource: str, *, slug: str) -> Sent:
        """Return the query parameters, and the headers that choose among answers.

        Args:
            resource: what the parameters ask for, named in the problem.
            slug: the problem that a broken encoding is.

        Raises:
            InvalidInput: on field ``query``: a broken escape, bytes that are not UTF-8, or U+0000. Lenient
                decoding would search for something else than the client wrote, and PostgreSQL has no U+0000.
        """
        if self._sent is not None:
            return self._sent
        environ = self.environ
        encoded: str = environ.get("QUERY_STRING", "")
        fault = _query_fault(encoded) if encoded else None
        if fault is not None:
            detail = f"Validation failed for {resource}: query - {fault}"
            raise InvalidInput(detail, {"query": fault}, slug=slug, resource=resource)
        texts: dict[str, str] = {}
        repeated: dict[str, Sequence[str]] = {}
        for name, text in parse_qsl(_decoded(encoded), keep_blank_values=True):
            if name in texts:
                repeated[name] = (*repeated.get(name, (texts[name],)), text)
            else:
                texts[name] = text
        self._sent = Sent(texts, repeated, environ.get("HTTP_ACCEPT", ""), environ.get("HTTP_PREFER", ""))
        return self._sent

    @property
    def announced_bytes(self) -> int | None:
        """What ``Content-Length`` says; ``None`` of a chunked body and where there is none."""
        text = self.environ.get("CONTENT_LENGTH", "")
        return int(text) if text.isdecimal() else None

    def check_body_head(self, body_type: BodyType, limit: int) -> None:
        """Judge the body by the headers alone, before any of it is read.

        Raises:
            UnsupportedMediaType: ``Content-Type`` is not ``body_type``, or the body is compressed.
            RequestTooLarge: announced to be larger than ``limit`` bytes.
        """
        if self.environ.get("CONTENT_TYPE") != body_type.name:
            body_type.check(self.environ.get("CONTENT_TYPE", ""))
        if self.environ.get("HTTP_CONTENT_ENCODING", "identity").lower() not in {"", "identity"}:
            raise UnsupportedMediaType("the request body must not be compressed")
        announced = self.announced_bytes
        if announced is not None and announced > limit:
            raise too_large(limit)

    def read_body(self, limit: int, resource: str) -> bytes:
        """Return the bytes of the body.

        Args:
            limit: bytes, for a body that does not announce its length.
            resource: what the body is about, named in the problem.

        Raises:
            RequestTooLarge: found to be larger than ``limit``.
            RequestTimeout: the client stopped sending.
            Overloaded: the bodies of other requests take all the room there is.
            InvalidInput: the body ended early or its chunks are malformed.
        """
        self._check_body_arrived()
        announced = self.announced_bytes
        if announced is None and not self.environ.get("wsgi.input_terminated"):
            return b""
        source = self.environ["wsgi.input"]
        try:
            body: bytes = source.read(limit + 1 if announced is None else announced)
        except TimeoutError as error:
            raise RequestTimeout(_LATE) from error
        except (OSError, ParseException) as error:
            raise _ended_early(resource) from error
        if announced is None and len(body) > limit:
            raise too_large(limit)
        if announced is not None and len(body) < announced:
            raise _ended_early(resource)
        return body

    def _check_body_arrived(self) -> None:
        """Refuse a body that the server has stopped waiting for."""
        refusal = self.environ.get(REFUSAL)
        if refusal == LATE:
            raise RequestTimeout(_LATE)
        if refusal == NO_ROOM:
            raise Overloaded("too many request bodies at once", reason="body_budget")


def _decoded(latin: str) -> str:
    """Return the text of bytes that WSGI hands over as Latin-1."""
    return latin if latin.isascii() else latin.encode("latin-1").decode("utf-8", "replace")


def _query_fault(encoded: str) -> Fault | None:
    if "%" not in encoded and encoded.isascii() and "\0" not in encoded:
        return None
    if _BROKEN_ESCAPE_PATTERN.search(encoded):
        return Fault("must be percent-encoded: % and two hexadecimal digits")
    decoded = unquote_to_bytes(encoded.encode("latin-1"))
    if b"\0" in decoded:
        return NUL
    try:
        decoded.decode("utf-8")
    except UnicodeDecodeError:
        return Fault("must be UTF-8")
    return None


def too_large(limit: int) -> RequestTooLarge:
    """Return the error for a body over ``limit`` bytes."""
    return RequestTooLarge(f"the request body must be at most {limit} bytes")


def _ended_early(resource: str) -> InvalidInput:
    return InvalidInput.of(
        resource, {"body": Fault("request body is not valid JSON: it ended early", "invalid_json")}
    )
