"""What a browser does with the pages of the service: it keeps cookies, and sends forms as they are."""

import re
from html import unescape
from http.cookies import Morsel, SimpleCookie
from typing import Any
from urllib.parse import urlencode

from tests.support.http import Answer, Api

CONSOLE = "/console"
LOGIN = f"{CONSOLE}/login"
LOGOUT = f"{CONSOLE}/logout"
SESSION = "datastorage_session"
FORM_TYPE = {"Content-Type": "application/x-www-form-urlencoded"}

_HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')


class Browser:
    """One browser."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.cookies: dict[str, Morsel[str]] = {}

    def get(self, path: str, **headers: str) -> Answer:
        """Open a page."""
        return self._kept(self._api.request("GET", path, headers=self._cookie() | headers))

    def send(self, path: str, fields: dict[str, str], **headers: str) -> Answer:
        """Send a form."""
        body = urlencode(fields).encode()
        sent = FORM_TYPE | self._cookie() | headers
        return self._kept(self._api.request("POST", path, body=body, headers=sent))

    def log_in(self, token: str, page: str = LOGIN, **changed: str) -> Answer:
        """Fill in the form that ``page`` shows; keywords replace its hidden fields."""
        return self.send(LOGIN, hidden_fields(self.get(page)) | {"token": token} | changed)

    def _kept(self, answer: Answer) -> Answer:
        for header in answer.headers.getlist("Set-Cookie"):
            for name, morsel in SimpleCookie(header).items():
                self.cookies[name] = morsel
        return answer

    def _cookie(self) -> dict[str, str]:
        pairs = [f"{name}={each.value}" for name, each in self.cookies.items() if each["max-age"] != "0"]
        return {"Cookie": "; ".join(pairs)} if pairs else {}


def hidden_fields(answer: Answer) -> dict[str, Any]:
    """Return the hidden fields of the forms of a page."""
    return hidden_fields_of(answer.body.decode())


def hidden_fields_of(html: str) -> dict[str, Any]:
    """Return those in the text of a page."""
    return {name: unescape(text) for name, text in _HIDDEN.findall(html)}
