"""Sessions of people at a browser: a bearer token, sealed in a cookie that counts under ``/console`` alone.

A session has no rights of its own. Its token takes the way of every other one through the gates, so what the
authority takes away ends it as well. Forms carry a signature that no page of another site can know.
"""

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from wsgiref.types import WSGIEnvironment

from werkzeug.http import dump_cookie
from werkzeug.sansio.http import parse_cookie

from datastorage.platform.access.addresses import came_by_tls
from datastorage.platform.access.credentials import ENDED_SESSION
from datastorage.platform.access.errors import CsrfFailed
from datastorage.platform.access.session_keys import SessionKeys
from datastorage.platform.clock import Clock

if TYPE_CHECKING:
    # Its library is loaded where a mode takes tokens.
    from datastorage.platform.access.sealing import Seal

CONSOLE: Final = "/console"
SESSION_COOKIE: Final = "datastorage_session"
FORM_COOKIE: Final = "datastorage_csrf"
FORM_FIELD: Final = "csrf"
MAX_TOKEN_BYTES: Final = 2800
"""Of a token in a session: sealed it must fit a cookie, for which browsers have room for 4096 bytes."""

_NONCE_BYTES: Final = 16
_NONCE_CHARS: Final = 22
_NONCE = re.compile(r"[A-Za-z0-9_-]{22}")
_NONCE_OF_SESSION: Final = "datastorage.session_nonce"
"""Key of the WSGI environ: the nonce of the session that was opened."""


def is_of_console(path: str) -> bool:
    """Tell whether a path is that of a page for people, where sessions count."""
    return path.startswith(CONSOLE) and (path == CONSOLE or path.startswith(f"{CONSOLE}/"))


@dataclass(frozen=True, slots=True)
class FormTicket:
    """What a form has to carry, and the cookie to set with it where there is no session."""

    signature: str
    cookie: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """Opens and makes sessions, and tells forms of our own from those of others.

    Attributes:
        keys: sign forms.
        seal: seals tokens; ``None`` where no mode takes any.
        longest: how long a session lasts.
        is_trusted_proxy: whether an address speaks for others.
        clock: the time.
    """

    keys: SessionKeys = field(repr=False)
    seal: "Seal | None"
    longest: timedelta
    is_trusted_proxy: Callable[[str], bool]
    clock: Clock

    @property
    def are_needed(self) -> bool:
        """Whether people have to log in here: a mode takes tokens."""
        return self.seal is not None

    def open(self, environ: WSGIEnvironment) -> None:
        """Let the token of a session stand in the request as if it had been sent; one that was sent wins."""
        sealed = _cookies(environ).get(SESSION_COOKIE)
        if not sealed or self.seal is None or "HTTP_AUTHORIZATION" in environ:
            return
        content = self.seal.open(sealed, self._now, int(self.longest.total_seconds()))
        if content is None:
            environ[ENDED_SESSION] = True
            return
        opened = content.decode("latin-1")  # as WSGI hands over a header
        environ[_NONCE_OF_SESSION] = opened[:_NONCE_CHARS]
        environ["HTTP_AUTHORIZATION"] = f"Bearer {opened[_NONCE_CHARS:]}"

    def begin(self, environ: WSGIEnvironment, token: str, expires_at: float | None) -> str | None:
        """Return the cookie of a new session, ``None`` where sessions are not needed.

        Args:
            environ: of the request that logs in.
            token: accepted, at most ``MAX_TOKEN_BYTES`` long.
            expires_at: when the token ends, in Unix seconds.
        """
        if self.seal is None:
            return None
        now, longest = self._now, int(self.longest.total_seconds())
        left = longest if expires_at is None else max(0, min(longest, int(expires_at) - now))
        sealed = self.seal.close(f"{_new_nonce()}{token}".encode(), now)
        return self._cookie(environ, SESSION_COOKIE, sealed, max_age=left)

    def end(self, environ: WSGIEnvironment) -> str:
        """Return the cookie that removes a session."""
        return self._cookie(environ, SESSION_COOKIE, "", max_age=0)

    def ticket(self, environ: WSGIEnvironment) -> FormTicket:
        """Return what the forms of a page have to carry."""
        nonce = _nonce_of(environ)
        if nonce is not None:
            return FormTicket(self.keys.sign_form(nonce), None)
        nonce = _new_nonce()
        return FormTicket(self.keys.sign_form(nonce), self._cookie(environ, FORM_COOKIE, nonce))

    def check_form(self, environ: WSGIEnvironment, form: Mapping[str, str]) -> None:
        """Refuse what a page of another site sends, or a page that was made for another session.

        Raises:
            CsrfFailed: the form carries no signature for this session, or the browser names another site.
        """
        signature = environ.get("HTTP_X_CSRF_TOKEN") or form.get(FORM_FIELD, "")
        nonce = _nonce_of(environ)
        if not self._is_same_origin(environ) or nonce is None or not self.keys.vouch_for(nonce, signature):
            raise CsrfFailed

    def is_encrypted(self, environ: WSGIEnvironment) -> bool:
        """Tell whether the client sent a request by TLS."""
        return came_by_tls(environ, self.is_trusted_proxy)

    def _is_same_origin(self, environ: WSGIEnvironment) -> bool:
        """Judge by what browsers say of the page that sends; other clients say nothing.

        TLS may end at a proxy that nobody has told us of: a page that came by TLS may send to us without it.
        """
        origin, site = environ.get("HTTP_ORIGIN"), environ.get("HTTP_SEC_FETCH_SITE", "same-origin")
        schemes = ("https",) if self.is_encrypted(environ) else ("http", "https")
        host = environ.get("HTTP_HOST", "").lower()
        is_own = origin is None or origin.lower() in {f"{scheme}://{host}" for scheme in schemes}
        return is_own and site.lower() == "same-origin"

    def _cookie(self, environ: WSGIEnvironment, name: str, value: str, max_age: int | None = None) -> str:
        return dump_cookie(
            name,
            value,
            max_age,
            path=CONSOLE,
            secure=self.is_encrypted(environ),
            httponly=True,
            samesite="Strict",
            sync_expires=False,
        )

    @property
    def _now(self) -> int:
        return int(self.clock().timestamp())


def _cookies(environ: WSGIEnvironment) -> Mapping[str, str]:
    return parse_cookie(environ.get("HTTP_COOKIE"))


def _nonce_of(environ: WSGIEnvironment) -> str | None:
    """Return what forms are signed for: the nonce of the session, else that of the cookie for forms."""
    nonce = environ.get(_NONCE_OF_SESSION) or _cookies(environ).get(FORM_COOKIE, "")
    return nonce if _NONCE.fullmatch(nonce) else None


def _new_nonce() -> str:
    return secrets.token_urlsafe(_NONCE_BYTES)
