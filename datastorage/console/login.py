"""How people log in: the form, what it brings, and which page it leads to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from datastorage.console.rendering import render
from datastorage.errors import Fault, InvalidInput
from datastorage.platform.access.sessions import CONSOLE, FORM_FIELD, MAX_TOKEN_BYTES, Sessions
from datastorage.platform.web.current import current
from datastorage.platform.web.forms import Form
from datastorage.platform.web.requests import Request

LOGIN: Final = f"{CONSOLE}/login"
LOGOUT: Final = f"{CONSOLE}/logout"
HOME: Final = f"{CONSOLE}/"

_PAGE = re.compile(r"/console/[!-\[\]-~]*")
_DOTS = re.compile(r"/(?:\.|%2e){1,2}(?:[/?#]|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Login:
    """What the form brings; ``next_page`` is one of ours."""

    token: str = field(repr=False)
    next_page: str


@dataclass(frozen=True, slots=True)
class LoginPage:
    """The form, and the cookie it needs where the browser has none."""

    html: bytes
    cookie: str | None


class LoginForm(Form):
    """Reads the form."""

    resource = "login"
    field_names = frozenset({"token", "next", FORM_FIELD})

    def read(self, data: Mapping[str, str]) -> Login:
        """Return token and page.

        Raises:
            InvalidInput: the token does not fit a session.
        """
        token = data.get("token", "").strip()
        if len(token.encode()) > MAX_TOKEN_BYTES:
            fault = Fault(f"must be at most {MAX_TOKEN_BYTES} bytes", "length_exceeded")
            raise InvalidInput.of(self.resource, {"token": fault})
        return Login(token, page_after_login(data.get("next", "")))


class LogoutForm(Form):
    """Reads the form that ends a session; it brings nothing."""

    resource = "logout"
    field_names = frozenset({FORM_FIELD})

    def read(self, data: Mapping[str, str]) -> None:
        """Return nothing."""
        del data


def page_after_login(wanted: str) -> str:
    """Return ``wanted`` if it is the address of a page of ours, else that of the first page."""
    is_ours = _PAGE.fullmatch(wanted) and not _DOTS.search(wanted)
    return wanted if is_ours and not wanted.startswith((LOGIN, LOGOUT)) else HOME


def login_page(request: Request, message: str = "") -> LoginPage:
    """Return the form, which leads to the page that was asked for.

    Args:
        request: that of the form itself, of a page that asks for a login, or of a login that failed.
        message: what is wrong.
    """
    sessions = current(Sessions)
    ticket = sessions.ticket(request.environ)
    takes_tokens = sessions.are_needed
    reading = request.method in {"GET", "HEAD"}
    wanted = request.environ.get("RAW_URI", "") if reading else request.form.get("next", "")
    html = render(
        "login.html",
        takes_tokens=takes_tokens,
        signature=ticket.signature,
        next_page=page_after_login(wanted),
        message=message,
    )
    return LoginPage(html, ticket.cookie if takes_tokens else None)
