"""A shorter way for writes of which a client sends very many: answered before Flask is asked.

Finding a route, building a request object and a response object costs Flask more than judging and
storing an event costs us. A shortcut does what the contract of one view says for the request that is as
usual as can be: JSON with a known length. Everything else goes on to Flask as if nobody had looked at it,
and so does what went wrong: the view raises it, so that every problem document is still written in one place.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, NamedTuple, Self
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask
from gunicorn.http.errors import ParseException

from datastorage.platform.web import json
from datastorage.platform.web.contract import Answer
from datastorage.platform.web.current import EXTENSION
from datastorage.platform.web.http_metrics import BEGUN, HttpMetrics, Labels, note_rule
from datastorage.platform.web.readers import BodyReader
from datastorage.platform.web.requests import (
    CORRELATION_ID,
    RAISED,
    REQUEST_ID,
    begin,
    broken_off,
    cut_off,
    log_request,
)
from datastorage.settings import ServerSettings

_UNUSUAL: Final = frozenset({"HTTP_CONTENT_ENCODING", "HTTP_TRANSFER_ENCODING", "HTTP_ORIGIN"})
"""Headers that a view without a shortcut knows what to do with."""


@dataclass(frozen=True, slots=True)
class Shortcut:
    """What a view does, by its contract.

    Args:
        rule: the path, without variables; the method is POST.
        reader: judges the body.
        actor: the class whose object acts.
        act: its method, from what was read to an outcome.
        answers: one per type of outcome, of JSON without anything special.
    """

    rule: str
    reader: type
    actor: type
    act: Callable[[Any, Any], Any]
    answers: tuple[Answer, ...]


def init_app(
    app: Flask, settings: ServerSettings, shortcuts: Sequence[Shortcut], metrics: HttpMetrics
) -> None:
    """Put the shortcuts in front of the routes of ``app``, and of what measures every request: they do it."""
    services: Mapping[type, Any] = app.extensions[EXTENSION]
    ways = {each.rule: _Way(each, services[each.reader], services[each.actor], metrics) for each in shortcuts}
    routes: WSGIApplication = app.wsgi_app
    metrics_port, max_body_bytes = str(settings.metrics_port), settings.max_body_bytes

    def choose(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        way = ways.get(environ["PATH_INFO"])
        if way is None or not _is_usual(environ, max_body_bytes) or environ["SERVER_PORT"] == metrics_port:
            return routes(environ, start_response)
        return way.go(environ, start_response) or routes(environ, start_response)

    app.wsgi_app = choose  # type: ignore[method-assign] # Flask's way to add middleware


def _is_usual(environ: WSGIEnvironment, max_body_bytes: int) -> bool:
    length = environ.get("CONTENT_LENGTH", "")
    return (
        environ["REQUEST_METHOD"] == "POST"
        and environ.get("CONTENT_TYPE") == "application/json"
        and length.isdecimal()
        and int(length) <= max_body_bytes
        and _UNUSUAL.isdisjoint(environ)
        and not environ.get("SCRIPT_NAME")
    )


class _Way:
    """One shortcut of one application."""

    def __init__(self, shortcut: Shortcut, reader: BodyReader, actor: object, metrics: HttpMetrics) -> None:
        self._rule = shortcut.rule
        self._reader = reader
        self._actor = actor
        self._act = shortcut.act
        self._metrics = metrics
        self._answers = {
            each.outcome: _StatusLine.of(each.status, shortcut.rule) for each in shortcut.answers
        }

    def go(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes] | None:
        """Answer, or leave the error in ``environ`` for the view to raise, and return ``None``."""
        begun = self._metrics.begin()
        # Should Flask take over, it goes on under the same id.
        environ["HTTP_X_REQUEST_ID"] = begin(environ)
        note_rule(environ, self._rule)
        try:
            outcome = self._act(self._actor, self._wanted(environ))
            answer, payload = self._answers[type(outcome)], json.encode(outcome)
        except Exception as error:  # noqa: BLE001 - raised again by the view, where it has its handlers
            environ[RAISED] = error
            environ[BEGUN] = begun
            return None
        self._conclude(answer, len(payload), environ.get("REMOTE_ADDR"), begun)
        start_response(answer.line, _headers(environ, len(payload)))
        return [payload]

    def _wanted(self, environ: WSGIEnvironment) -> Any:
        length = int(environ["CONTENT_LENGTH"])
        try:
            body = environ["wsgi.input"].read(length)
        except (OSError, ParseException) as error:
            raise broken_off(error, self._reader.resource) from error
        if len(body) < length:
            raise cut_off(self._reader.resource)
        return self._reader.read(self._reader.decode(body))

    def _conclude(self, answer: "_StatusLine", length: int, remote_addr: str | None, begun: float) -> None:
        """Log and count the request before its answer is sent."""
        fields: dict[str, object] = {
            "method": "POST",
            "path": self._rule,
            "route": self._rule,
            "remote_addr": remote_addr,
            "status": answer.status,
            "bytes": length,
        }
        log_request(fields, begun)
        self._metrics.observe(answer.labels, begun)
        self._metrics.end()


def _headers(environ: WSGIEnvironment, length: int) -> list[tuple[str, str]]:
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(length)),
        (REQUEST_ID, environ["HTTP_X_REQUEST_ID"]),
        ("Cache-Control", "no-store"),
    ]
    if "HTTP_X_CORRELATION_ID" in environ:
        headers.append((CORRELATION_ID, environ["HTTP_X_CORRELATION_ID"]))
    return headers


class _StatusLine(NamedTuple):
    """A status as the log, the metrics and the wire call it."""

    status: int
    labels: Labels
    line: str

    @classmethod
    def of(cls, status: int, rule: str) -> Self:
        return cls(status, ("POST", rule, str(status)), f"{status} {HTTPStatus(status).phrase.upper()}")
