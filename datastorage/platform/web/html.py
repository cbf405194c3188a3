"""Pages for people: the headers that keep foreign scripts away from them, and who shows them errors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from datastorage.platform.access.sessions import CONSOLE, is_of_console
from datastorage.platform.web.replies import Headers, Reply
from datastorage.platform.web.requests import Request

HTML: Final = "text/html; charset=utf-8"
POLICY_HEADER: Final = "Content-Security-Policy"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
POLICY_WITH_STYLES: Final = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
"""Of a page whose scripts write styles into it."""

_ALWAYS: Final = (("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "same-origin"))
_ENCRYPTED: Final = ("Strict-Transport-Security", "max-age=31536000")
_RAW: Final = f"{CONSOLE}/raw/"
"""Below it scripts of the pages ask for what the API answers."""


def is_page(path: str) -> bool:
    """Tell whether people look at what a path answers, errors as well."""
    return is_of_console(path) and not path.startswith(_RAW)


def page_headers(headers: Headers, *, is_encrypted: bool) -> Headers:
    """Return what a page is sent with beside ``headers``, which may have a policy of its own."""
    added = [*_ALWAYS, _ENCRYPTED] if is_encrypted else [*_ALWAYS]
    has_policy = any(name == POLICY_HEADER for name, _ in headers)
    return added if has_policy else [*added, (POLICY_HEADER, POLICY)]


@dataclass(frozen=True, slots=True)
class ErrorPages:
    """Shows errors to people; ``show`` makes the page of a problem document."""

    show: Callable[[Mapping[str, Any], Request], Reply]
