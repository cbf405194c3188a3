"""An operation of the API is a value: what it reads, what it does, what it answers, who may call it.

The decorator stands above a view, below the route of a Flask blueprint::

    @blueprint.post("")
    @operation(Permission.WRITE, body=NotificationSchema, answers=(...), problems=(...))
    def create_notification(notification: Notification) -> NotificationRecorded | NotificationParked:
        return current(NotificationService).record(notification)

The view gets what its readers make of the path, the query and the body, in this order, and returns an
outcome; ``answers`` say how each type of outcome is sent, so a view has no ``if``. ``door.run`` carries
operations out, and the API document reads the same value.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from datastorage.platform.access.permissions import Permission
from datastorage.platform.web import json
from datastorage.platform.web.links import Link
from datastorage.platform.web.replies import NO_STORE, Reply
from datastorage.platform.web.sent import Sent

View = Callable[..., Any]
_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """How one type of outcome is sent.

    Attributes:
        outcome: the type.
        status: the HTTP status.
        schema: describes the body in the API document; ``None`` for what is not part of it.
        description: one sentence for the API document.
        media_type: of the body.
        body: makes what is sent of the outcome, as bytes unless it is JSON; the outcome itself is sent
            without it.
        headers: further headers of an outcome.
        announces: names of the headers that ``headers`` may add, for the API document.
        links: what can be asked next, for the API document.
        log: what the line about the request tells of the outcome.
        rows: how many records an outcome shows.
        stream: whether ``body`` gives an iterable of bytes instead of a value for JSON.
        in_document: whether the API document knows it; a generated client asks for JSON alone.
        cache: its ``Cache-Control``; ``public`` becomes ``private`` for callers who had to say who they are.
    """

    outcome: type
    status: int
    schema: Any
    description: str
    media_type: str = _JSON
    body: Callable[[Any], Any] | None = None
    headers: Callable[[Any], Mapping[str, str]] | None = None
    announces: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    log: Callable[[Any], Mapping[str, object]] | None = None
    rows: Callable[[Any], int] | None = None
    stream: bool = False
    in_document: bool = True
    cache: str = NO_STORE

    def reply(self, outcome: Any) -> Reply:
        """Return what is sent for ``outcome``."""
        content = outcome if self.body is None else self.body(outcome)
        if self.stream:
            reply = Reply(self.status, [("Content-Type", self.media_type)], content)
        else:
            encoded = json.encode(content) if self.media_type == _JSON else content
            reply = Reply.of_bytes(self.status, self.media_type, encoded)
        reply.cache_control = self.cache
        if self.headers is not None:
            reply.headers.extend(self.headers(outcome).items())
        return reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation.

    Attributes:
        act: the view, from what was read to an outcome.
        permission: what the caller needs.
        path: class of the reader of the variables of the path.
        query: class of the reader of the query parameters.
        body: class of the reader of the JSON body.
        wants_caller: whether the first argument of the view is the caller.
        wants_request: whether it is the request itself, as pages need it that deal with cookies.
        audited: whether it shows audit records, so that asking for them leaves a trace.
        can_be_public: whether nothing is needed with ``auth.public_ledger``.
        exports: tells of what was sent whether it asks for an export, for which ``export`` is needed instead.
        answers: one for each type of outcome.
        problems: slugs that the API document adds to those that every operation has.
        successor: path of the operation that replaces this one, which is deprecated.
        failure: what a 500 says instead of the general sentence.
        is_flask_view: whether ``act`` is a view that a package brings along, which makes its own answer.
    """

    act: View
    permission: Permission
    path: type | None = None
    query: type | None = None
    body: type | None = None
    wants_caller: bool = False
    wants_request: bool = False
    audited: bool = False
    can_be_public: bool = False
    exports: Callable[[Sent], bool] | None = None
    answers: tuple[Answer, ...] = ()
    problems: tuple[str, ...] = ()
    successor: str | None = None
    failure: str | None = None
    is_flask_view: bool = False

    @classmethod
    def of_flask_view(cls, view: View, permission: Permission) -> Self:
        """Return the operation of a view that makes its own answer, by way of Flask."""
        return cls(act=view, permission=permission, is_flask_view=True)

    @property
    def __name__(self) -> str:
        """What Flask names the endpoint after."""
        return self.act.__name__

    @property
    def documented_answers(self) -> tuple[Answer, ...]:
        """Those that the API document describes."""
        return tuple(answer for answer in self.answers if answer.in_document)

    def __call__(self, *arguments: Any) -> Any:
        """Return the outcome of what was read."""
        return self.act(*arguments)


def operation(  # noqa: PLR0913 - one argument for each part of the value
    permission: Permission,
    *,
    path: type | None = None,
    query: type | None = None,
    body: type | None = None,
    wants_caller: bool = False,
    wants_request: bool = False,
    audited: bool = False,
    can_be_public: bool = False,
    exports: Callable[[Sent], bool] | None = None,
    answers: tuple[Answer, ...] = (),
    problems: tuple[str, ...] = (),
    successor: str | None = None,
    failure: str | None = None,
) -> Callable[[View], Operation]:
    """Make an operation of the view below; the arguments are the attributes of ``Operation``."""

    def decorate(act: View) -> Operation:
        return Operation(
            act=act,
            permission=permission,
            path=path,
            query=query,
            body=body,
            wants_caller=wants_caller,
            wants_request=wants_request,
            audited=audited,
            can_be_public=can_be_public,
            exports=exports,
            answers=answers,
            problems=problems,
            successor=successor,
            failure=failure,
        )

    return decorate
