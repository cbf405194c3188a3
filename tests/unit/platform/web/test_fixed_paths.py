import pytest
from flask import Flask
from flask.testing import FlaskClient

from datastorage.platform.web import fixed_paths


@pytest.fixture
def client() -> FlaskClient:
    """A path with a variable, and two that are spelled out beside it."""
    app = Flask(__name__, static_folder=None)
    app.add_url_rule("/things/<thing_id>", "read", lambda thing_id: f"thing {thing_id}", methods=["GET"])
    app.add_url_rule("/things/batch", "write", lambda: "written", methods=["POST"])
    app.add_url_rule("/things/export", "export", lambda: "exported", methods=["GET"])
    fixed_paths.init_app(app)
    return app.test_client()


def test_method_of_the_path_with_a_variable_is_not_allowed_on_a_spelled_out_one(client: FlaskClient) -> None:
    answer = client.get("/things/batch")

    assert answer.status_code == 405
    assert set(answer.allow) == {"OPTIONS", "POST"}


def test_options_of_a_spelled_out_path_names_its_own_methods_only(client: FlaskClient) -> None:
    answer = client.options("/things/batch")

    assert answer.status_code == 200
    assert set(answer.allow) == {"OPTIONS", "POST"}


@pytest.mark.parametrize(
    ("method", "path", "text"),
    [
        ("POST", "/things/batch", "written"),
        ("GET", "/things/export", "exported"),
        ("GET", "/things/7", "thing 7"),
        ("GET", "/things/batches", "thing batches"),
    ],
)
def test_documented_methods_reach_their_views(client: FlaskClient, method: str, path: str, text: str) -> None:
    assert client.open(path, method=method).text == text
