"""What no request can go around, whether Flask dispatches it or the door itself."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Blueprint, Flask, Response, abort
from flask.testing import FlaskClient
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import TooManyRequests, Unauthorized

from datastorage.errors import Fault, InvalidInput
from datastorage.platform.access.permissions import Permission
from datastorage.platform.metrics import Metrics
from datastorage.platform.request_class import RequestClass
from datastorage.platform.web import gates
from datastorage.platform.web.audited_reads import AuditedReads, Read
from datastorage.platform.web.current import EXTENSION
from datastorage.platform.web.operations import Answer, operation
from datastorage.platform.web.requests import HEAD_ALONE, LATE, NO_THREAD, REFUSAL, Request
from datastorage.platform.web.routing import Routes
from tests.support.small_app import Said, add, says, small_app


class Body:
    """A reader that takes any JSON text for what was said."""

    resource = "speech"
    field_names = frozenset[str]()

    def decode(self, body: bytes) -> str:
        return body.decode()

    def read(self, data: Any) -> str:
        if not data:
            raise InvalidInput.of(self.resource, {"body": Fault("must not be empty")})
        return str(data)


def _headers(said: Said) -> dict[str, str]:
    return {"X-Said": said.text}


def _log(said: Said) -> dict[str, object]:
    return {"said": said.text}


def _lines(said: Said) -> Iterator[bytes]:
    yield said.text.encode()


SPOKEN = Answer(
    Said, 201, None, "It is spoken.", body=lambda said: {"spoken": said.text}, headers=_headers, log=_log
)
STREAMED = Answer(Said, 200, None, "It is streamed.", media_type="text/plain", body=_lines, stream=True)


def speeches(written: list[str]) -> Blueprint:
    """Return a blueprint that writes down what is said."""

    def speak(text: str) -> Said:
        written.append(text)
        return Said(text)

    blueprint = Blueprint("speeches", __name__)
    wanted = operation(Permission.WRITE, body=Body, answers=(SPOKEN,), failure="Failed to speak")
    add(blueprint, "/speeches", wanted(speak), "POST")
    add(blueprint, "/lines", operation(Permission.EXPORT, answers=(STREAMED,))(lambda: Said("lines")))
    add(blueprint, "/fall", operation(Permission.READ, failure="Failed to fall")(fall))
    return blueprint


def fall() -> Said:
    raise RuntimeError("secret")


@pytest.fixture
def written() -> list[str]:
    return []


@pytest.fixture
def app(written: list[str]) -> Flask:
    return small_app(speeches(written), services={Body: Body()})


@pytest.fixture(params=["door", "flask"])
def client(request: pytest.FixtureRequest, app: Flask) -> FlaskClient:
    """Ask by the quick entry, and by the way through Flask that a hook makes necessary."""
    if request.param == "flask":
        app.before_request(lambda: None)
    return app.test_client()


def test_every_part_of_an_answer_is_obeyed(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="datastorage.access")

    answer = client.post("/speeches", data="well", content_type="application/json")

    assert (answer.status_code, answer.json) == (201, {"spoken": "well"})
    assert answer.headers["X-Said"] == "well"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Request-ID"].startswith("req-")
    assert answer.content_length == len(answer.data)


def test_stream_is_sent_as_it_is_made(client: FlaskClient) -> None:
    answer = client.get("/lines")

    assert (answer.data, answer.content_type) == (b"lines", "text/plain")


def test_head_answers_like_get_without_a_body(client: FlaskClient) -> None:
    answer = client.head("/lines")

    assert (answer.status_code, answer.content_type, answer.data) == (200, "text/plain", b"")


@pytest.mark.parametrize("way", ["door", "flask"])
def test_read_is_told_of_with_its_answer(way: str) -> None:
    told: list[Read] = []
    shelf = Blueprint("shelf", __name__)
    shown = Answer(Said, 200, None, "It is shown.", body=lambda said: said.text, rows=lambda _: 3)
    show = operation(Permission.READ, audited=True, answers=(shown,))
    add(shelf, "/records/<event_id>", operation(Permission.READ, audited=True)(fall))
    add(shelf, "/records", show(lambda: Said("records")))
    add(shelf, "/others", operation(Permission.READ, answers=(SPOKEN,))(lambda: Said("others")))
    app = small_app(shelf, services={AuditedReads: AuditedReads("all", told.append)})
    if way == "flask":
        app.before_request(lambda: None)
    client = app.test_client()

    statuses = [client.get(path).status_code for path in ("/records", "/records/7", "/others")]

    assert statuses == [200, 500, 201]
    assert [(read.status, read.rows, read.asked_for) for read in told] == [(200, 3, None), (500, None, "7")]


def test_refusal_of_a_reader_is_a_problem(client: FlaskClient, written: list[str]) -> None:
    answer = client.post("/speeches", data="", content_type="application/json")

    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
    assert answer.json is not None
    assert answer.json["field_errors"] == {"body": "must not be empty"}
    assert written == []


def test_unexpected_fault_is_answered_in_the_words_of_the_operation(client: FlaskClient) -> None:
    answer = client.get("/fall")

    assert answer.status_code == 500
    assert answer.json is not None
    assert (answer.json["detail"], answer.json["retry"]) == ("Failed to fall", True)
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("content_type", "status"), [("text/plain", 415), ("application/json; charset=latin-1", 415)]
)
def test_body_is_refused_by_its_headers(
    client: FlaskClient, written: list[str], content_type: str, status: int
) -> None:
    answer = client.post("/speeches", data="well", content_type=content_type)

    assert answer.status_code == status
    assert written == []


def test_hook_of_the_application_that_demands_a_credential_is_not_gone_around(
    app: Flask, written: list[str]
) -> None:
    @app.before_request
    def demand_credential() -> None:
        abort(401)

    answer = app.test_client().post("/speeches", data="well", content_type="application/json")

    assert answer.status_code == 401
    assert written == []


def test_hook_sees_what_the_gates_refuse(app: Flask) -> None:
    @app.after_request
    def sign(response: Response) -> Response:
        response.headers["X-Signed"] = "yes"
        return response

    client = app.test_client()
    answers = [client.get("/nowhere"), client.get("/speeches"), client.options("/speeches")]

    assert [answer.status_code for answer in answers] == [404, 405, 200]
    assert all(answer.headers["X-Signed"] == "yes" for answer in answers)


def test_hook_that_fails_is_answered_with_a_problem(app: Flask) -> None:
    @app.after_request
    def fail(response: Response) -> Response:
        raise RuntimeError(f"secret {response.status}")

    answer = app.test_client().get("/lines")

    assert (answer.status_code, answer.content_type) == (500, "application/problem+json")
    assert "secret" not in answer.text


def test_gate_is_in_front_of_every_operation(
    app: Flask, written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(request: Request, grounds: gates.Grounds) -> None:
        del request, grounds
        raise InvalidInput.of("gate", {"body": Fault("is shut")})

    monkeypatch.setattr(gates, "GATES", (gates.identify, gates.choose_lane, refuse))
    client = app.test_client()
    answers = [client.post("/speeches", data="well"), client.get("/lines"), client.get("/metrics")]

    assert [answer.status_code for answer in answers] == [400, 400, 400]
    assert written == []


def test_body_is_read_when_its_head_is_admitted_and_no_gate_is_passed_twice(
    client: FlaskClient, app: Flask, written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[str] = []
    monkeypatch.setattr(
        gates, "GATES", (*gates.GATES, lambda request, _grounds: counted.append(request.request_id))
    )
    with pytest.raises(gates.BodyAwaited) as put_aside:
        client.post("/speeches", content_type="application/json", environ_overrides={HEAD_ALONE: True})
    assert written == []

    goes_on = {gates.ADMISSION: put_aside.value.admission}
    answer = client.post("/speeches", data="well", content_type="application/json", environ_overrides=goes_on)

    assert (answer.status_code, answer.json, written) == (201, {"spoken": "well"}, ["well"])
    assert counted == [answer.headers["X-Request-ID"]]
    answer.close()
    assert nothing_is_unanswered(app)


def nothing_is_unanswered(app: Flask) -> bool:
    """Tell whether metrics are written at once again, as they are while no request runs."""
    metrics: Metrics = app.extensions[EXTENSION][Metrics]
    metrics.http_request.labels("GET", "/probe", "200").inc()
    labels = {"method": "GET", "path": "/probe", "status": "200"}
    written = metrics.registry.get_sample_value("datastorage_http_request_total", labels)
    return metrics.deferred.in_flight_count == 0 and written == 1


def test_body_that_does_not_come_after_all_is_408(client: FlaskClient, written: list[str]) -> None:
    with pytest.raises(gates.BodyAwaited) as put_aside:
        client.post("/speeches", content_type="application/json", environ_overrides={HEAD_ALONE: True})

    late = {gates.ADMISSION: put_aside.value.admission, REFUSAL: LATE}
    answer = client.post("/speeches", content_type="application/json", environ_overrides=late)

    assert (answer.status_code, written) == (408, [])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/nowhere", 404),
        ("PUT", "/speeches", 405),
        ("OPTIONS", "/speeches", 200),
        ("GET", "/lines", 200),
    ],
)
def test_head_whose_body_nothing_reads_is_answered_at_once(
    client: FlaskClient, method: str, path: str, status: int
) -> None:
    answer = client.open(path, method=method, environ_overrides={HEAD_ALONE: True})

    assert answer.status_code == status


def test_nothing_but_the_gates_makes_an_admission() -> None:
    request = Request({"REQUEST_METHOD": "GET", "PATH_INFO": "/lines"}, 0)

    with pytest.raises(TypeError, match="only the gates"):
        gates.Admission(request, None, passed=object())  # type: ignore[arg-type] # refused before it is looked at


def test_flask_alone_carries_nothing_out(app: Flask, written: list[str]) -> None:
    """A dispatch that did not come through the door, for example of a test client of another entrance."""
    with (
        app.test_request_context("/speeches", method="POST", data="well"),
        pytest.raises(KeyError, match="admission"),
    ):
        app.dispatch_request()

    assert written == []


@pytest.mark.parametrize(
    ("status", "slug", "retry"),
    [
        (401, "unauthorized", None),
        (403, "forbidden", None),
        (429, "rate-limit-exceeded", True),
        (503, "service-unavailable", True),
        (418, "http-error", None),
        (507, "http-error", True),
        (599, "http-error", True),
    ],
)
@pytest.mark.parametrize("with_hook", [False, True])
def test_status_that_a_view_or_a_hook_raises_keeps_its_number(
    status: int,
    slug: str,
    retry: bool | None,  # noqa: FBT001 - what the member is
    with_hook: bool,  # noqa: FBT001 - a case of the test
) -> None:
    blueprint = Blueprint("refusals", __name__)
    raised: Any = Response("", status) if status > 505 else status  # no exception of Werkzeug has it
    add(blueprint, "/raised", operation(Permission.READ)(lambda: abort(raised)))
    add(blueprint, "/fine", says("fine"))
    app = small_app(blueprint)
    if with_hook:
        app.before_request(lambda: abort(raised))

    answer = app.test_client().get("/fine" if with_hook else "/raised")

    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert answer.json is not None
    assert answer.json["type"].endswith(f"/{slug}")
    assert (answer.json["status"], answer.json.get("retry")) == (status, retry)


@pytest.mark.parametrize(
    ("raised", "name", "value"),
    [
        (TooManyRequests(retry_after=7), "Retry-After", "7"),
        (Unauthorized(www_authenticate=WWWAuthenticate("bearer")), "WWW-Authenticate", "Bearer "),
    ],
)
def test_header_that_belongs_to_a_status_is_kept(raised: Exception, name: str, value: str) -> None:
    def refuse() -> Said:
        raise raised

    blueprint = Blueprint("refusals", __name__)
    add(blueprint, "/raised", operation(Permission.READ)(refuse))

    answer = small_app(blueprint).test_client().get("/raised")

    assert answer.headers[name].strip() == value.strip()


def test_line_of_the_log_tells_what_the_answer_says(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[dict[str, object]] = []
    keep: Callable[..., None] = lambda _logger, _level, _message, fields, **_: lines.append(fields)  # noqa: E731
    monkeypatch.setattr("datastorage.platform.web.door.log_lean", keep)

    client.post("/speeches", data="well", content_type="application/json")

    [line] = lines
    assert (line["said"], line["route"], line["status"], line["method"]) == ("well", "/speeches", 201, "POST")


def test_request_that_got_no_thread_is_refused_before_its_body_is_judged(
    client: FlaskClient, written: list[str]
) -> None:
    answer = client.post(
        "/speeches", data="well", content_type="text/plain", environ_overrides={REFUSAL: NO_THREAD}
    )

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json is not None
    assert answer.json["detail"] == "no request thread in time"
    assert written == []


@pytest.mark.parametrize(
    ("method", "path", "request_class"),
    [
        ("POST", "/speeches", RequestClass.WRITE),
        ("GET", "/lines", RequestClass.READ),
        ("HEAD", "/lines", RequestClass.READ),
        ("OPTIONS", "/speeches", RequestClass.READ),
        ("PUT", "/nowhere", RequestClass.READ),
        ("DELETE", "/speeches", RequestClass.READ),
        ("BREW", "/speeches", RequestClass.READ),
    ],
)
def test_permission_makes_the_class(app: Flask, method: str, path: str, request_class: RequestClass) -> None:
    assert app.extensions[EXTENSION][Routes].request_class(method, path) is request_class
