"""How much of a request is there is read off its bytes, however they are cut."""

import pytest

from datastorage.platform.server.arrival import MAX_HEAD_BYTES, Arrival, Stage

GET = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /e HTTP/1.1\r\nHost: a\r\ncontent-LENGTH: 5\r\n\r\nhello"
CHUNKED = b"POST /e HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


def arrived(data: bytes, *, max_body_bytes: int = 100) -> Arrival:
    arrival = Arrival(max_body_bytes)
    arrival.take(data)
    return arrival


@pytest.mark.parametrize("request_bytes", [GET, POST])
def test_request_is_complete_with_its_last_byte(request_bytes: bytes) -> None:
    arrival = Arrival(100)
    stages = []
    for number in range(len(request_bytes)):
        arrival.take(request_bytes[number : number + 1])
        stages.append(arrival.stage)

    assert stages[-1] is Stage.COMPLETE
    assert Stage.COMPLETE not in stages[:-1]
    assert arrival.hand_over() == request_bytes


@pytest.mark.parametrize(
    ("data", "stage"),
    [
        (b"", Stage.SILENT),
        (b"\r\n\r\n\r\n", Stage.SILENT),
        (b"G", Stage.HEAD),
        (GET[:-1], Stage.HEAD),
        (POST[:-1], Stage.BODY),
        (CHUNKED, Stage.COMPLETE),
        (b"x" * (MAX_HEAD_BYTES + 1), Stage.COMPLETE),
        (POST.replace(b"5", b"5\r\nContent-Length: 7"), Stage.COMPLETE),
        (POST.replace(b"5", b"101"), Stage.COMPLETE),
        (POST.replace(b"5", b"-1"), Stage.COMPLETE),
    ],
)
def test_what_cannot_be_waited_for_is_left_to_the_parser(data: bytes, stage: Stage) -> None:
    assert arrived(data).stage is stage


def test_blank_lines_in_front_of_a_request_are_no_beginning() -> None:
    arrival = arrived(b"\r\n\r\n")

    arrival.take(b"\r\n" + GET)

    assert arrival.stage is Stage.COMPLETE
    assert arrival.hand_over() == GET


def test_what_comes_behind_a_request_begins_the_next_one() -> None:
    arrival = arrived(GET + POST[:20])
    arrival.hand_over()

    arrival.begin(POST[:20])

    assert arrival.stage is Stage.HEAD


@pytest.mark.parametrize(("version", "expects"), [(b"1.1", True), (b"1.0", False)])
def test_expectation_is_taken_out_of_the_head(version: bytes, expects: bool) -> None:  # noqa: FBT001 - a parameter
    sent = POST.replace(b"1.1", version)
    arrival = arrived(sent[:-5].replace(b"Host: a", b"Host: a\r\nExpect: 100-Continue"))

    arrival.take(b"hello")

    assert arrival.expects_continue is expects
    assert arrival.stage is Stage.COMPLETE
    assert arrival.hand_over() == sent


@pytest.mark.parametrize(
    ("line", "method", "path"),
    [
        (b"GET /health?x=1 HTTP/1.1", "GET", "/health"),
        (b"POST http://host:80/api/v1?x=a://b HTTP/1.1", "POST", "/api/v1"),
        (b"GET http://host HTTP/1.1", "GET", "/"),
        (b"OPTIONS * HTTP/1.1", "OPTIONS", "*"),
        (b"GET /a%20%C3%A4 HTTP/1.1", "GET", "/a \u00c3\u00a4"),
        (b"nonsense", "nonsense", ""),
    ],
)
def test_method_and_path_are_known_before_the_parser_runs(line: bytes, method: str, path: str) -> None:
    assert arrived(line + b"\r\nHost: a\r\n\r\n").request_line()[:2] == (method, path)


LARGE = POST.replace(b"5", b"70000")


@pytest.mark.parametrize(
    ("data", "shows_head"),
    [
        (GET, False),
        (POST, False),
        (POST[:-1], False),
        (LARGE, True),
        (LARGE + b"x" * 70_000, False),
        (CHUNKED, True),
        (POST[:-5].replace(b"Host: a", b"Expect: 100-continue"), True),
        (POST.replace(b"Host: a", b"Expect: 100-continue"), False),
    ],
)
def test_head_is_judged_alone_where_its_body_would_cost_something(
    data: bytes,
    shows_head: bool,  # noqa: FBT001 - a parameter
) -> None:
    arrival = arrived(data, max_body_bytes=100_000)

    assert arrival.shows_head_first() is arrival.is_head_alone is shows_head
    assert not arrival.shows_head_first()


def test_body_goes_on_where_its_head_was_judged() -> None:
    arrival = arrived(LARGE, max_body_bytes=100_000)
    assert arrival.shows_head_first()
    assert arrival.stage is Stage.COMPLETE

    assert arrival.hand_over() == LARGE
    arrival.await_body(b"hello")
    stages = [arrival.stage]
    arrival.take(b"x" * 69_995)
    stages.append(arrival.stage)

    assert stages == [Stage.BODY, Stage.COMPLETE]
    assert not arrival.is_head_alone
    assert len(arrival.hand_over()) == 70_000
