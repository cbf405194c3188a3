"""Problems as people see them: a page with what went wrong, or the form to log in."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from datastorage.console.login import LOGIN, login_page
from datastorage.console.rendering import render
from datastorage.platform.access.sessions import Sessions
from datastorage.platform.web.current import current
from datastorage.platform.web.html import HTML
from datastorage.platform.web.replies import Reply
from datastorage.platform.web.requests import Request

NOT_ACCEPTED = "This token was not accepted."


def show(problem: Mapping[str, Any], request: Request) -> Reply:
    """Return the page of a problem."""
    status: int = problem["status"]
    if request.path == LOGIN or status == HTTPStatus.UNAUTHORIZED:
        page = login_page(request, _message(problem) if request.path == LOGIN else "")
        return _reply(status, page.html, page.cookie)
    sessions = current(Sessions)
    ticket = sessions.ticket(request.environ)
    user = request.caller.identity.name if request.caller is not None and sessions.are_needed else None
    html = render("problem.html", problem=problem, user=user, signature=ticket.signature)
    return _reply(status, html, ticket.cookie if user is not None else None)


def _reply(status: int, html: bytes, cookie: str | None) -> Reply:
    reply = Reply.of_bytes(status, HTML, html)
    if cookie is not None:
        reply.headers.append(("Set-Cookie", cookie))
    return reply


def _message(problem: Mapping[str, Any]) -> str:
    """Return what the form says of a login that failed; why a token is not good is nobody's business."""
    if problem["status"] == HTTPStatus.UNAUTHORIZED:
        return NOT_ACCEPTED
    faults: Mapping[str, str] = problem.get("field_errors", {})
    said = "; ".join(f"{name} {fault}" for name, fault in faults.items()) or str(problem["detail"])
    return f"{said[:1].upper()}{said[1:]}."
