"""The gates: what every request has to pass, whatever carries it out.

``GATES`` is the whole list, in order. Each gate looks at the head of a request alone, never at its body, and
either writes down what it found out or raises the error that refuses the request. ``admit`` runs them all and
is the only maker of an ``Admission``, without which nothing is carried out. A large body is read only when
there is one: until then the request is put aside (``BodyAwaited``).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from wsgiref.types import WSGIEnvironment

from datastorage.errors import InvalidInput, MethodNotAllowed, NotFound, Overloaded
from datastorage.platform.access.caller import Caller, Forbidden
from datastorage.platform.access.control import AccessControl
from datastorage.platform.access.errors import Unauthorized
from datastorage.platform.access.permissions import Permission
from datastorage.platform.access.quotas import Quotas
from datastorage.platform.access.sessions import Sessions, is_of_console
from datastorage.platform.request_class import Standing, standing_of_request
from datastorage.platform.web.requests import HEAD_ALONE, NO_THREAD, REFUSAL, ROUTE, WAITED_SECONDS, Request
from datastorage.platform.web.routing import Endpoint, Routes

ADMISSION: Final = "datastorage.admission"
"""Key of the WSGI environ: takes what the gates found out to those who go on with the request."""
METRICS: Final = "/metrics"
ROOT: Final = "/"
"""The one unknown path that is no secret."""
PROBES: Final = frozenset({"/health", "/healthz", "/readyz", METRICS})


@dataclass(frozen=True, slots=True)
class Grounds:
    """What the gates judge by: one for each application.

    Attributes:
        routes: every endpoint.
        metrics_port: the port that serves metrics and probes only.
        max_body_bytes: the largest body.
        access: knows the callers.
        quotas: knows how much each of them may send.
        sessions: opens the sessions of people at a browser.
    """

    routes: Routes
    metrics_port: str
    max_body_bytes: int
    access: AccessControl
    quotas: Quotas
    sessions: Sessions


def identify(request: Request, _grounds: Grounds) -> None:
    """Give the request its id: from here on every answer and every line of the log has one."""
    request.identify()


def choose_lane(request: Request, grounds: Grounds) -> None:
    """Find the operation, and keep the metrics port to metrics and probes.

    Raises:
        NotFound: the metrics port does not serve this path.
    """
    if request.environ.get("SERVER_PORT") == grounds.metrics_port and not is_probe(request.path):
        raise NotFound("this port serves metrics and probes only")
    try:
        request.route(grounds.routes)
    except (NotFound, MethodNotAllowed) as refusal:
        # Who is allowed to know that is decided first: see refuse_unknown_route.
        request.unrouted = refusal
    request.permission = _needed(request, grounds)


def take_class(request: Request, _grounds: Grounds) -> None:
    """Let the request wait for the database by its class, and no longer than it still may.

    Raises:
        Overloaded: no thread of its class was free in time.
    """
    environ = request.environ
    # A request that is still running when its worker ends is named by its route.
    environ[ROUTE] = request.labels[1]
    if environ.get(REFUSAL) == NO_THREAD:
        raise Overloaded("no request thread in time", reason="thread_wait")
    standing_of_request.set(Standing(request.permission.request_class, environ.get(WAITED_SECONDS, 0.0)))


def _needed(request: Request, grounds: Grounds) -> Permission:
    """Return what the caller needs; about unknown paths and methods only known callers learn anything."""
    if request.method == "OPTIONS":
        return Permission.NOTHING
    if request.endpoint is None:
        return Permission.NOTHING if _is_open(request, grounds.routes) else Permission.IDENTITY
    if request.path == METRICS and request.environ.get("SERVER_PORT") == grounds.metrics_port:
        return grounds.access.metrics_permission
    if request.endpoint.operation.can_be_public and grounds.access.is_ledger_public:
        return Permission.NOTHING
    return (
        Permission.EXPORT if _is_export(request, request.endpoint) else request.endpoint.operation.permission
    )


def _is_export(request: Request, endpoint: Endpoint) -> bool:
    exports = endpoint.operation.exports
    if exports is None or endpoint.query is None:
        return False
    try:
        return exports(request.sent(endpoint.query.resource, slug=endpoint.query.encoding_slug))
    except InvalidInput:  # it is refused when it is read, by then a caller that may read
        return False


def _is_open(request: Request, routes: Routes) -> bool:
    """Tell whether a path is the root, or has other methods, which need nothing."""
    if request.path == ROOT:
        return True
    if not isinstance(request.unrouted, MethodNotAllowed):
        return False
    others = (
        routes.find(method, request.path)[0] for method in request.unrouted.allowed if method != "OPTIONS"
    )
    return all(endpoint.operation.permission is Permission.NOTHING for endpoint in others)


def check_body_head(request: Request, grounds: Grounds) -> None:
    """Refuse a body of the wrong type or size by its headers.

    Raises:
        UnsupportedMediaType, RequestTooLarge: it is one.
    """
    endpoint = request.endpoint
    if endpoint is not None and endpoint.body is not None:
        request.check_body_head(endpoint.body_type, body_limit(endpoint, grounds))


def body_limit(endpoint: Endpoint, grounds: Grounds) -> int:
    """Return the most bytes of a body that an endpoint takes."""
    return min(endpoint.body_type.most_bytes, grounds.max_body_bytes)


def open_session(request: Request, grounds: Grounds) -> None:
    """Let the token in the cookie of the console count as sent; elsewhere the cookie means nothing."""
    if is_of_console(request.path):
        grounds.sessions.open(request.environ)


def check_failures(request: Request, grounds: Grounds) -> None:
    """Keep out an address that has tried too many credentials, but not those that are known to be good.

    Raises:
        RateLimited: it has.
    """
    if request.permission is Permission.NOTHING or grounds.quotas.failures is None:
        return
    if not grounds.access.knows(request.environ):
        grounds.quotas.check_failures(request.environ, request.permission)


def authorise(request: Request, grounds: Grounds) -> None:
    """Find out who calls, and whether the caller may.

    Raises:
        AccessRefused: it may not, or this cannot be found out.
    """
    if request.permission is not Permission.NOTHING:
        try:
            request.caller = grounds.access.admit(request.environ, request.permission)
        except Unauthorized:
            grounds.quotas.count_failure(request.environ)
            raise
        except Forbidden as refusal:
            request.caller = refusal.caller  # who is refused is known: log and audit trail name the caller
            raise


def refuse_unknown_route(request: Request, _grounds: Grounds) -> None:
    """Answer for paths and methods that nothing serves.

    Raises:
        NotFound: no rule fits the path.
        MethodNotAllowed: the path has other methods.
    """
    if request.unrouted is not None:
        raise request.unrouted


def count_request(request: Request, grounds: Grounds) -> None:
    """Count the request against what its caller may send.

    Raises:
        RateLimited: it is one too many.
    """
    if request.caller is not None:
        identity = request.caller.identity
        request.quota = grounds.quotas.count(request.environ, identity, request.permission)


Gate = Callable[[Request, Grounds], None]
GATES: Final[tuple[Gate, ...]] = (
    identify,
    choose_lane,
    take_class,
    check_body_head,
    open_session,
    check_failures,
    authorise,
    refuse_unknown_route,
    count_request,
)
GATES_AGAIN: Final[tuple[Gate, ...]] = (identify, take_class, open_session)
"""Those that concern a thread and its environ: an admitted request passes them again when it goes on."""


class Admission:
    """A request that has passed every gate. ``admit`` makes it.

    Attributes:
        request: what was admitted.
        endpoint: the operation that it asks for.
    """

    __slots__ = ("endpoint", "request")

    def __init__(self, request: Request, endpoint: Endpoint, *, passed: object) -> None:
        if passed is not _PASSED:
            raise TypeError("only the gates admit a request")
        self.request = request
        self.endpoint = endpoint


_PASSED: Final = object()


class BodyAwaited(BaseException):
    """A request has passed every gate, and its body has yet to be read.

    This is no error, and nothing between the gates and the server may answer it.

    Attributes:
        admission: what the request goes on with when its body has arrived.
    """

    def __init__(self, admission: Admission) -> None:
        super().__init__()
        self.admission = admission


def request_of(environ: WSGIEnvironment, started_seconds: float) -> Request:
    """Return the request that the server hands over, a new one or one that goes on."""
    admission: Admission | None = environ.get(ADMISSION)
    if admission is None:
        return Request(environ, started_seconds)
    admission.request.go_on(environ, started_seconds)
    return admission.request


def admit(request: Request, grounds: Grounds) -> Admission:
    """Run every gate; for a request that has been admitted before, those of ``GATES_AGAIN``.

    Raises:
        DataStorageError: a gate refuses the request.
        BodyAwaited: it is admitted, and the server holds its body back until then.
    """
    environ = request.environ
    if (before := environ.get(ADMISSION)) is not None:
        for gate in GATES_AGAIN:
            gate(request, grounds)
        admission: Admission = before
        return admission
    for gate in GATES:
        gate(request, grounds)
    assert request.endpoint is not None
    admission = Admission(request, request.endpoint, passed=_PASSED)
    if HEAD_ALONE in environ and request.endpoint.body is not None and request.method != "OPTIONS":
        raise BodyAwaited(admission)
    return admission


def authenticate(request: Request, grounds: Grounds, token: str) -> Caller:
    """Find out who bears a token that a form has brought, by the gates that every token has to pass.

    Raises:
        AccessRefused: nobody accepts it, or its sender has tried too many others.
    """
    # As WSGI hands over a header: by Latin-1 characters.
    request.environ["HTTP_AUTHORIZATION"] = f"Bearer {token}".encode().decode("latin-1")
    request.permission = Permission.IDENTITY
    check_failures(request, grounds)
    authorise(request, grounds)
    assert request.caller is not None
    return request.caller


def is_probe(path: str) -> bool:
    """Tell whether ``path`` is that of a probe or a scrape."""
    return path in PROBES or path.startswith("/health/")
