import pytest
from flask import Blueprint
from flask.testing import FlaskClient

from datastorage.console.login import LoginForm
from datastorage.platform.access.permissions import Permission
from datastorage.platform.web.operations import Answer, operation
from datastorage.platform.web.routing import RouteError
from tests.support.small_app import SAID, Said, add, says, small_app


@pytest.fixture
def client() -> FlaskClient:
    """A path with a variable, and two that are spelled out beside it."""
    blueprint = Blueprint("things", __name__)
    add(blueprint, "/things/<thing_id>", says("thing"))
    add(blueprint, "/things/batch", says("written"), "POST")
    add(blueprint, "/things/export", says("exported"))
    return small_app(blueprint).test_client()


def test_method_of_the_path_with_a_variable_is_not_allowed_on_a_spelled_out_one(client: FlaskClient) -> None:
    answer = client.get("/things/batch")

    assert answer.status_code == 405
    assert set(answer.allow) == {"OPTIONS", "POST"}


@pytest.mark.parametrize(
    ("path", "methods"),
    [("/things/batch", {"OPTIONS", "POST"}), ("/things/7", {"GET", "HEAD", "OPTIONS"})],
)
def test_options_names_the_methods_of_the_path_and_no_others(
    client: FlaskClient, path: str, methods: set[str]
) -> None:
    answer = client.options(path)

    assert answer.status_code == 200
    assert set(answer.allow) == methods
    assert answer.data == b""


@pytest.mark.parametrize(
    ("method", "path", "text"),
    [
        ("POST", "/things/batch", "written"),
        ("GET", "/things/export", "exported"),
        ("GET", "/things/7", "thing"),
        ("GET", "/things/batches", "thing"),
    ],
)
def test_documented_methods_reach_their_views(client: FlaskClient, method: str, path: str, text: str) -> None:
    assert client.open(path, method=method).json == text


def test_route_that_does_not_say_who_may_call_it_keeps_the_service_from_starting() -> None:
    blueprint = Blueprint("open", __name__)
    blueprint.add_url_rule("/open", "open", lambda: "anything")

    with pytest.raises(RouteError, match="route without permission: /open"):
        small_app(blueprint)


def test_reader_that_is_not_in_the_wiring_keeps_the_service_from_starting() -> None:
    class Thing:
        """A reader that has to be given something."""

        def __init__(self, settings: object) -> None:
            self.settings = settings

    blueprint = Blueprint("things", __name__)
    add(blueprint, "/things", operation(Permission.WRITE, body=Thing, answers=(SAID,))(Said), "POST")

    with pytest.raises(RouteError, match="route without its reader: /things needs Thing in the wiring"):
        small_app(blueprint)


def test_reader_of_another_kind_keeps_the_service_from_starting() -> None:
    blueprint = Blueprint("things", __name__)
    add(blueprint, "/things", operation(Permission.READ, query=dict, answers=(SAID,))(Said))

    with pytest.raises(RouteError, match="route with a wrong reader: dict is no QueryReader"):
        small_app(blueprint, services={dict: {}})


def test_two_answers_for_one_type_of_outcome_keep_the_service_from_starting() -> None:
    other = Answer(Said, 202, None, "It will be said.")
    blueprint = Blueprint("things", __name__)
    add(blueprint, "/things", operation(Permission.READ, answers=(SAID, other))(lambda: Said("")))

    with pytest.raises(RouteError, match="two answers for one type of outcome: /things"):
        small_app(blueprint)


def test_change_by_a_page_that_comes_in_no_form_keeps_the_service_from_starting() -> None:
    blueprint = Blueprint("pages", __name__)
    add(blueprint, "/console/change", says("changed"), "POST")

    with pytest.raises(RouteError, match=r"route of a page without a form.*: /console/change"):
        small_app(blueprint)


def test_form_that_is_sent_to_the_api_keeps_the_service_from_starting() -> None:
    blueprint = Blueprint("api", __name__)
    wanted = operation(Permission.WRITE, body=LoginForm, answers=(SAID,))
    add(blueprint, "/api/form", wanted(lambda _: Said("changed")), "POST")

    with pytest.raises(RouteError, match="form without a page: /api/form"):
        small_app(blueprint)
