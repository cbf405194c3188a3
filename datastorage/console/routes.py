"""``/console``: log in, log out, and the files of the pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flask import Blueprint, Response, send_from_directory

from datastorage.console.login import LOGIN, Login, LoginForm, LoginPage, LogoutForm, login_page
from datastorage.platform.access.permissions import Permission
from datastorage.platform.access.sessions import CONSOLE, Sessions
from datastorage.platform.web.current import current
from datastorage.platform.web.gates import Grounds, authenticate
from datastorage.platform.web.html import HTML
from datastorage.platform.web.operations import Answer, Operation, operation
from datastorage.platform.web.requests import Request

STATIC: Final = Path(__file__).with_name("static")
STATIC_SECONDS: Final = 3600

blueprint = Blueprint("console", __name__, url_prefix=CONSOLE)


@dataclass(frozen=True, slots=True)
class GoTo:
    """What is done, and the page to go on with."""

    page: str
    cookie: str | None


def _cookie(outcome: LoginPage | GoTo) -> Mapping[str, str]:
    return {} if outcome.cookie is None else {"Set-Cookie": outcome.cookie}


FORM_SHOWN = (
    Answer(LoginPage, 200, None, "The form.", media_type=HTML, body=lambda page: page.html, headers=_cookie),
)
GO_ON = (
    Answer(
        GoTo,
        303,
        None,
        "Done.",
        media_type=HTML,
        body=lambda _: b"",
        headers=lambda done: {"Location": done.page, **_cookie(done)},
    ),
)


@blueprint.get("/login")
@operation(Permission.NOTHING, wants_request=True, answers=FORM_SHOWN)
def show_login(request: Request) -> LoginPage:
    """Show the form."""
    return login_page(request)


@blueprint.post("/login")
@operation(Permission.NOTHING, wants_request=True, body=LoginForm, answers=GO_ON)
def log_in(request: Request, login: Login) -> GoTo:
    """Begin a session with a token that passes the gates of every other one."""
    caller = authenticate(request, current(Grounds), login.token)
    cookie = current(Sessions).begin(request.environ, login.token, caller.expires_at)
    return GoTo(login.next_page, cookie)


@blueprint.post("/logout")
@operation(Permission.NOTHING, wants_request=True, body=LogoutForm, answers=GO_ON)
def log_out(request: Request, _form: None) -> GoTo:
    """End the session."""
    return GoTo(LOGIN, current(Sessions).end(request.environ))


def _file(name: str) -> Response:
    """Return a style or a script."""
    return send_from_directory(STATIC, name, max_age=STATIC_SECONDS)


blueprint.add_url_rule(
    "/static/<path:name>", "file", Operation.of_flask_view(_file, Permission.NOTHING), methods=["GET"]
)
