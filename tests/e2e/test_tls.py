"""Clients come by TLS, and find the service as it is without: nobody holds a thread, nothing is lost."""

import http.client
import json
import signal
import socket
import ssl
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from datastorage.platform.server.cli import GUNICORN_CONFIGURATION
from tests.support.builders import BATCH, EVENTS, an_event, unique
from tests.support.conversation import Conversation
from tests.support.exposition import Scrape
from tests.support.feed import FeedStream
from tests.support.http import JSON, Api
from tests.support.processes import descendants
from tests.support.raw_exchange import answer_in, connected, everything, opened
from tests.support.rolling import Ledger, clients
from tests.support.service import ServiceProcess
from tests.support.started import StartService
from tests.support.tls import Authority, Pair, certificate_of
from tests.support.waiting import eventually

LOCAL = "127.0.0.1"
HELLO = b"\x16\x03\x01\x02\x00\x01"
"""How a handshake begins."""
HEAD = b"POST /api/v1/audit/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
LIVE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
TOO_LARGE = 11 * 1024 * 1024
MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def secure(start_service: StartService, authority: Authority) -> ServiceProcess:
    """The API by TLS, metrics without; few threads, so that every one that is held is missed."""
    return start_service(
        (authority.issue(LOCAL), authority.client()),
        SERVER_WORKERS="1",
        SERVER_THREADS="8",
        SERVER_MAX_CONNECTIONS_PER_ADDRESS="1000",
    )


@pytest.fixture(scope="module")
def mutual(start_service: StartService, authority: Authority) -> ServiceProcess:
    """Clients need a certificate, the metrics port has TLS, and heads have little time."""
    visitor = authority.issue("visitor@example.org", common_name="visitor")
    service = start_service(
        (authority.issue(LOCAL, "mutual.example.org"), authority.client(visitor)),
        SERVER_WORKERS="1",
        SERVER_HEAD_TIMEOUT="1s",
        SERVER_TLS_CLIENT_CA_FILE=str(authority.ca_file),
        SERVER_TLS_METRICS="true",
    )
    service.metrics_api = Api(f"https://{LOCAL}:{service.metrics_port}", authority.client())
    return service


def closed_for_tls(service: ServiceProcess) -> float:
    return Scrape(service.metrics_api).value("connections_closed_total", reason="tls")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_connection_is_kept_for_many_events(
    secure: ServiceProcess, authority: Authority, version: ssl.TLSVersion
) -> None:
    context = authority.client()
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    connection = http.client.HTTPSConnection(LOCAL, secure.port, context=context, timeout=30)

    with closing(connection):
        connection.connect()
        first = connection.sock
        for _ in range(20):
            connection.request("POST", EVENTS, json.dumps(an_event()), JSON)
            answer = connection.getresponse()
            assert (answer.status, len(answer.read()) > 0) == (201, True)
        assert connection.sock is first
        assert isinstance(first, ssl.SSLSocket)
        assert (first.version(), first.selected_alpn_protocol()) == (
            version.name.replace("_", "."),
            "http/1.1",
        )


def test_old_version_of_tls_is_refused(secure: ServiceProcess, authority: Authority) -> None:
    context = authority.client()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    before = closed_for_tls(secure)

    with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
        opened(Api(secure.api.url, context))

    eventually(lambda: closed_for_tls(secure) == before + 1)


def test_plain_http_is_closed(secure: ServiceProcess) -> None:
    before = closed_for_tls(secure)

    with connected(secure.api) as connection:
        connection.sendall(LIVE)
        assert everything(connection) == b""

    eventually(lambda: closed_for_tls(secure) == before + 1)


def serves(service: ServiceProcess) -> float:
    """Write and probe, and return how long the slowest answer took."""
    took = []
    for path, event in ((EVENTS, an_event()), ("/health/live", None)):
        api = service.api.another()
        begun = time.monotonic()
        assert (api.post(path, event) if event else api.get(path)).status in {200, 201}
        took.append(time.monotonic() - begun)
        api.close()
    assert service.metrics_api.get("/health/live").status == 200
    return max(took)


@contextmanager
def held(service: ServiceProcess, number: int, *, is_encrypted: bool, sent: bytes) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(number):
            peer = opened(service.api) if is_encrypted else connected(service.api)
            stack.enter_context(peer).sendall(sent)
        yield


def test_silent_connections_hold_no_thread(secure: ServiceProcess) -> None:
    with (
        held(secure, 100, is_encrypted=False, sent=b""),
        held(secure, 100, is_encrypted=False, sent=HELLO),
        held(secure, 100, is_encrypted=True, sent=b""),
        held(secure, 20, is_encrypted=True, sent=HEAD + b"Content-Length: 1000\r\n\r\n{"),
    ):
        took = [serves(secure) for _ in range(5)]

    assert max(took) < 1


def test_handshake_and_head_together_have_the_time_of_a_head(mutual: ServiceProcess) -> None:
    """Also of a client that is silent once the handshake is over."""
    with connected(mutual.api) as half, opened(mutual.api) as silent:
        begun = time.monotonic()
        half.sendall(HELLO)
        ended = [(everything(peer), time.monotonic() - begun) for peer in (half, silent)]

    assert [said for said, _ in ended] == [b"", b""]
    assert all(0.5 < seconds < 2.5 for _, seconds in ended)


def test_client_needs_a_certificate_that_gives_no_name(mutual: ServiceProcess, authority: Authority) -> None:
    before = closed_for_tls(mutual)

    with opened(Api(mutual.api.url, authority.client())) as stranger:
        stranger.sendall(LIVE)
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
            everything(stranger)

    assert mutual.api.get("/api/v1/whoami").json["name"] == "anonymous"
    eventually(lambda: closed_for_tls(mutual) == before + 1)


def test_metrics_port_asks_for_no_certificate(mutual: ServiceProcess) -> None:
    assert mutual.metrics_api.get("/health/ready").status == 200
    assert mutual.api.get("/health/ready").status == 200


def expiry(api: Api) -> list[str]:
    name = "datastorage_tls_certificate_expiry_timestamp_seconds "
    return [line for line in api.get("/metrics").body.decode().splitlines() if line.startswith(name)]


def test_expiry_is_shown_where_there_is_a_certificate(
    secure: ServiceProcess, service: ServiceProcess
) -> None:
    with opened(secure.api) as connection:
        assert isinstance(connection, ssl.SSLSocket)
        certificate = connection.getpeercert() or {}

    (line,) = expiry(secure.metrics_api)
    assert float(line.split()[1]) == ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    assert expiry(service.metrics_api) == []


def test_application_knows_that_its_client_came_by_tls(
    service: ServiceProcess, authority: Authority, tmp_path: Path
) -> None:
    """The application of the standard library shows its environ."""
    shown = ServiceProcess(tmp_path, service.database_url, service.redis_url, SERVER_WORKERS="1")
    shown.arguments = ("-m", "gunicorn", "-c", GUNICORN_CONFIGURATION, "wsgiref.simple_server:demo_app")

    with shown.use_tls(authority.issue(LOCAL, "shown.example.org"), authority.client()):
        environ = shown.api.get("/").body.decode()

    assert "wsgi.url_scheme = 'https'" in environ


def test_large_bodies_and_answers_pass(secure: ServiceProcess) -> None:
    ours = unique()
    batch = [an_event(correlation_id=ours, event_data={"text": "x" * (MEBIBYTE // 2)}) for _ in range(6)]

    written = secure.api.post(BATCH, batch)
    page = secure.api.get(EVENTS, {"correlation_id": ours})

    assert written.status == 201
    assert len(page.json["data"]) == 6
    assert len(page.body) > 3 * MEBIBYTE


def test_chunked_body_is_read_to_its_end(secure: ServiceProcess) -> None:
    body = json.dumps(an_event()).encode()

    with opened(secure.api) as connection:
        connection.sendall(HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        for start in range(0, len(body), 100):
            piece = body[start : start + 100]
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")
        answer = answer_in(everything(connection))

    assert answer.status == 201


def test_body_that_will_be_read_is_asked_for(secure: ServiceProcess) -> None:
    body = json.dumps(an_event()).encode()

    with opened(secure.api) as connection:
        expecting = b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        connection.sendall(HEAD + expecting)
        asked = connection.recv(len(CONTINUE))
        connection.sendall(body)
        answer = answer_in(everything(connection))

    assert (asked, answer.status) == (CONTINUE, 201)


def test_connection_goes_on_after_a_refused_body_that_is_there(secure: ServiceProcess) -> None:
    refused = b"POST /api/v1/audit/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"

    with Conversation(secure.api) as conversation:
        conversation.send(3 * (refused + b"Content-Length: 1000\r\n\r\n" + b"x" * 1000) + LIVE)
        answers = conversation.answers()

    assert [status for status, _ in answers] == [415, 415, 415, 200]


def test_client_that_sends_first_sees_its_refusal(secure: ServiceProcess) -> None:
    connection = http.client.HTTPSConnection(LOCAL, secure.port, context=secure.api.tls, timeout=30)

    with closing(connection):
        connection.request("POST", EVENTS, body=b"x" * TOO_LARGE, headers=JSON)
        assert connection.getresponse().status == 413


def test_slow_reader_counts_as_one(secure: ServiceProcess) -> None:
    ours = unique()
    batch = [an_event(correlation_id=ours, event_data={"text": "x" * (MEBIBYTE // 2)}) for _ in range(18)]
    assert secure.api.post(BATCH, batch).status == 201
    target = f"{EVENTS}?correlation_id={ours}"

    with opened(secure.api) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 17)
        slow.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        eventually(lambda: Scrape(secure.metrics_api).value("slow_readers") == 1)
        answer = answer_in(everything(slow))

    assert answer.status == 200
    assert len(answer.json["data"]) == 18


def test_end_of_a_connection_is_told_in_words_of_tls(secure: ServiceProcess) -> None:
    """Otherwise a client could not tell it from an answer that was cut."""
    context = secure.api.tls
    assert context is not None
    with context.wrap_socket(
        connected(secure.api), server_hostname=LOCAL, suppress_ragged_eofs=False
    ) as connection:
        connection.sendall(LIVE)
        assert answer_in(everything(connection)).status == 200


def test_new_certificate_by_signal_fails_no_request(secure: ServiceProcess, authority: Authority) -> None:
    ledger = Ledger()
    before, workers = certificate_of(secure.api), descendants(secure.pid)

    with clients(secure.port, ledger, count=4, tls=authority.client()):
        eventually(lambda: ledger.count > 20)
        authority.issue(LOCAL)
        secure.signal(signal.SIGHUP)
        eventually(lambda: not set(workers) & set(descendants(secure.pid)))
        counted = ledger.count
        eventually(lambda: ledger.count > counted + 50)

    assert ledger.failures == []
    assert set(ledger.statuses) <= {200, 201}
    assert certificate_of(secure.api) != before


def test_new_certificate_is_found_and_a_broken_one_is_not_taken(
    secure: ServiceProcess, authority: Authority
) -> None:
    before = certificate_of(secure.api)
    authority.key_of(LOCAL).write_bytes(authority.issue("elsewhere").key.read_bytes())
    secure.signal(signal.SIGHUP)
    eventually(lambda: "TLS certificate not reloaded" in secure.log)
    assert certificate_of(secure.api) == before

    authority.issue(LOCAL)
    eventually(lambda: certificate_of(secure.api) != before, timeout_seconds=60)

    assert secure.api.another().post(EVENTS, an_event()).status == 201


def test_stopping_service_answers_a_kept_connection_and_ends_it(
    start_service: StartService, authority: Authority
) -> None:
    pair = authority.issue(LOCAL, "stopping.example.org")
    service = start_service((pair, authority.client()), SERVER_WORKERS="1")

    with opened(service.api) as connection:
        connection.sendall(LIVE.replace(b"close", b"keep-alive"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        service.signal(signal.SIGTERM)
        eventually(lambda: "Draining in-flight HTTP connections" in service.log)
        connection.sendall(LIVE.replace(b"close", b"keep-alive"))
        answer = answer_in(everything(connection))

    assert (answer.status, answer.headers["Connection"]) == (200, "close")
    assert service.wait() == 0


def test_certificate_that_cannot_be_used_ends_the_start(service: ServiceProcess, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "other")
    pair = Pair(authority.issue(LOCAL).cert, authority.issue("elsewhere").key)
    broken = ServiceProcess(tmp_path, service.database_url, service.redis_url)

    broken.use_tls(pair, authority.client()).launch()

    assert broken.wait() == 1
    (line,) = [each for each in broken.log_lines if each["level"] == "error"]
    assert line["msg"] == "Failed to load TLS certificate"
    assert str(pair.cert) in line["error"]


def test_feed_is_followed_by_tls(secure: ServiceProcess) -> None:
    ours = unique()
    stream = FeedStream(secure.api, from_="now", correlation_id=ours)
    large = {"text": "x" * 100_000}

    ids = [
        secure.api.post(EVENTS, an_event(correlation_id=ours, event_data=large)).json["event_id"]
        for _ in range(20)
    ]

    assert [json.loads(str(block.data))["event_id"] for block in stream.take(20)] == ids
    stream.close()
    eventually(lambda: Scrape(secure.metrics_api).value("feed_followers", kind="stream") == 0)
