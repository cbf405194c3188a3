"""The pages by both ways through the door: its own, and Flask's, which hooks make necessary."""

from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from datastorage.console import error_pages
from datastorage.console.routes import blueprint
from datastorage.platform.access.control import AccessControl
from datastorage.platform.access.files import AccessFiles
from datastorage.platform.access.modes.static import StaticMode
from datastorage.platform.access.permissions import Permission
from datastorage.platform.access.sealing import Seal
from datastorage.platform.access.sessions import Sessions
from datastorage.platform.access.tokens import hash_of, new_token
from datastorage.platform.clock import utc_now
from datastorage.platform.metrics import Metrics
from datastorage.platform.web.html import POLICY, ErrorPages
from datastorage.settings import AuthSettings, ConsoleSettings
from tests.support.browser import LOGIN, hidden_fields_of
from tests.support.small_app import small_app

TOKEN = new_token()
PAGES: dict[type, object] = {ErrorPages: ErrorPages(error_pages.show)}


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    """An application that takes one token."""
    path = tmp_path / "tokens.yaml"
    entry = {"name": "ana", "kind": "person", "sha256": hash_of(TOKEN), "roles": ["reader"]}
    path.write_text(yaml.safe_dump({"tokens": [entry]}))
    files = AccessFiles(AuthSettings(mode=("static",), tokens_file=path), ConsoleSettings())
    assert files.tokens is not None
    mode = StaticMode(files.tokens, utc_now)
    control = AccessControl([mode], Metrics(), metrics_permission=Permission.NOTHING)
    keys = files.session_keys
    sessions = Sessions(
        keys=keys,
        seal=Seal(keys),
        longest=timedelta(hours=1),
        is_trusted_proxy=lambda _: False,
        clock=utc_now,
    )
    return small_app(blueprint, services=PAGES | {AccessControl: control, Sessions: sessions})


@pytest.fixture(params=["door", "flask"])
def client(request: pytest.FixtureRequest, app: Flask) -> FlaskClient:
    if request.param == "flask":
        app.before_request(lambda: None)
    return app.test_client()


def log_in(client: FlaskClient, token: str, **changed: str) -> TestResponse:
    fields = hidden_fields_of(client.get(LOGIN).text)
    return client.post(LOGIN, data=fields | {"token": token} | changed)


def assert_page(answer: TestResponse, status: int) -> None:
    assert answer.status_code == status
    assert answer.content_type == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert answer.headers["Cache-Control"] == "no-store"


def test_good_token_begins_a_session_that_logging_out_ends(client: FlaskClient) -> None:
    assert log_in(client, TOKEN).status_code == 303
    page = client.get("/console/nothing")
    assert_page(page, 404)
    assert "Logged in as ana." in page.text

    answer = client.post("/console/logout", data=hidden_fields_of(page.text))

    assert (answer.status_code, answer.location) == (303, LOGIN)
    assert_page(client.get("/console/nothing"), 401)


def test_what_goes_wrong_is_a_page(client: FlaskClient) -> None:
    assert_page(client.get(LOGIN), 200)
    assert_page(log_in(client, "x"), 401)
    assert_page(log_in(client, "x" * 3000), 400)
    assert_page(log_in(client, TOKEN, csrf="0"), 403)
    assert_page(client.get("/console/nothing"), 401)
    assert_page(client.get("/console/static/nothing"), 404)
    assert_page(client.put(LOGIN), 405)


def test_refusal_says_what_to_do_and_keeps_the_page(client: FlaskClient) -> None:
    answer = log_in(client, "x" * 3000, next="/console/events?q=<b>")

    assert "Token must be at most 2800 bytes." in answer.text
    assert 'value="/console/events?q=&lt;b&gt;"' in answer.text
    assert client.get("/console/events?q=1").text.count('value="/console/events?q=1"') == 1


def test_installation_that_takes_no_tokens_has_no_form() -> None:
    client = small_app(blueprint, services=PAGES).test_client()
    page = client.get(LOGIN)

    assert_page(page, 200)
    assert "<form" not in page.text
    assert "Set-Cookie" not in page.headers
    assert client.get("/console/nothing").status_code == 404
