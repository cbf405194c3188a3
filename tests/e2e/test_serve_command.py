"""``datastorage serve`` as a process: signals, workers, ports, and what it leaves behind."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import urllib3
from sqlalchemy import Connection, text

from tests.support.builders import EVENTS, an_event, now, rfc3339
from tests.support.exposition import Scrape
from tests.support.http import Api, assert_problem
from tests.support.processes import descendants
from tests.support.service import ServiceProcess
from tests.support.started import StartService
from tests.support.waiting import eventually

QUICKLY_SECONDS = 8

only_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(scope="module")
def own(start_service: StartService) -> ServiceProcess:
    """A service whose metrics nobody else changes."""
    return start_service()


def on_a_new_connection(api: Api, path: str, body: object = None) -> int:
    """Send one request to whichever worker takes the connection, and return the status."""
    method = "GET" if body is None else "POST"
    headers = {"Connection": "close"}
    return urllib3.request(method, f"{api.url}{path}", json=body, headers=headers, retries=False).status


def workers_that_served(service: ServiceProcess, path: str) -> set[int]:
    return {line["pid"] for line in service.log_lines if line.get("path") == path}


def test_metrics_are_the_sum_of_all_workers_whichever_answers(own: ServiceProcess) -> None:
    before = Scrape(own.api)
    written = 0
    while len(workers_that_served(own, EVENTS)) < 2 or written < 10:
        event = an_event(event_timestamp=rfc3339(now(seconds=-2)))
        assert on_a_new_connection(own.api, EVENTS, event) == 201
        written += 1
        assert written < 500, "one worker serves everything"

    for scrape in (Scrape(Api(own.api.url)) for _ in range(8)):

        def grown(name: str, scrape: Scrape = scrape, **labels: str) -> float:
            return scrape.value(name, **labels) - before.value(name, **labels)

        assert grown("audit_traces_total", service="gateway", status="success") == written
        assert grown("audit_lag_seconds_count", service="gateway") == written
        assert 2 * written <= grown("audit_lag_seconds_sum", service="gateway") <= 3 * written
        assert grown("write_duration_seconds_count", table="audit_events") == written


def test_both_ports_show_the_same_metrics(own: ServiceProcess) -> None:
    answers = [api.get("/metrics") for api in (own.api, own.metrics_api)]

    names = [{line.split()[2] for line in a.body.decode().splitlines() if "# TYPE" in line} for a in answers]
    assert names[0] == names[1]
    assert all(answer.headers["Content-Type"].startswith("text/plain; version=") for answer in answers)


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/health/live"])
def test_metrics_port_answers_probes(own: ServiceProcess, path: str) -> None:
    assert own.metrics_api.get(path).status == 200


@pytest.mark.parametrize("path", [EVENTS, "/", "/docs", "/openapi.json", "/metricsx", "/healthy"])
def test_metrics_port_serves_nothing_else(own: ServiceProcess, path: str) -> None:
    assert_problem(own.metrics_api.get(path), 404, "not-found")


def test_nothing_is_written_through_the_metrics_port(own: ServiceProcess, owner: Connection) -> None:
    event = an_event()

    assert_problem(own.metrics_api.post(EVENTS, event), 404, "not-found")

    count = text("SELECT count(*) FROM audit_events WHERE correlation_id = :id")
    assert owner.scalar(count, {"id": event["correlation_id"]}) == 0


def test_metrics_port_answers_while_every_request_thread_is_busy(start_service: StartService) -> None:
    service = start_service(SERVER_WORKERS="1", SERVER_THREADS="1")
    connection = urllib3.connection.HTTPConnection("127.0.0.1", service.port)
    connection.putrequest("POST", EVENTS)
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    connection.send(b"64\r\n{")  # the only thread waits for the rest
    eventually(lambda: Scrape(service.metrics_api).value("http_requests_in_flight") == 1)

    answer = urllib3.request("GET", f"{service.metrics_api.url}/metrics", timeout=1, retries=False)

    connection.close()
    assert answer.status == 200


def test_killed_worker_is_replaced_and_counted(start_service: StartService) -> None:
    service = start_service()
    eventually(lambda: len(descendants(service.pid)) == 2)
    victim, other = descendants(service.pid)

    os.kill(victim, signal.SIGKILL)

    eventually(lambda: len(set(descendants(service.pid)) - {victim, other}) == 1, timeout_seconds=2)
    eventually(lambda: worker_exits(service) == {"exit": 0, "signal": 1, "timeout": 0})
    assert service.stop() == 0


def worker_exits(service: ServiceProcess) -> dict[str, float]:
    scrape = Scrape(Api(service.metrics_api.url))
    return {
        reason: scrape.value("worker_exits_total", reason=reason) for reason in ("exit", "signal", "timeout")
    }


@only_linux
def test_sigterm_before_anything_is_imported_ends_with_code_zero(unstarted: ServiceProcess) -> None:
    unstarted.launch()
    eventually(lambda: catches_sigterm(unstarted.pid))
    assert "Starting gunicorn" not in unstarted.log  # so the handler is not gunicorn's

    unstarted.signal(signal.SIGTERM)

    assert unstarted.wait(QUICKLY_SECONDS) == 0, unstarted.log


def catches_sigterm(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) & 1 << (signal.SIGTERM - 1))


@pytest.mark.parametrize("moment", ["Configuration loaded", "Starting gunicorn", "Listening at", "Booting"])
def test_sigterm_during_the_start_ends_with_code_zero(unstarted: ServiceProcess, moment: str) -> None:
    unstarted.launch()
    eventually(lambda: moment in unstarted.log)

    unstarted.signal(signal.SIGTERM)

    assert unstarted.wait(QUICKLY_SECONDS) == 0, unstarted.log
    assert "SIGKILL" not in unstarted.log


@pytest.fixture
def unstarted(tmp_path: Path) -> Iterator[ServiceProcess]:
    """A service that nobody started yet; its servers are not there, which does not matter so early."""
    nowhere = "127.0.0.1:1"
    service = ServiceProcess(tmp_path, f"postgresql://app@{nowhere}/none", f"redis://{nowhere}/0")
    yield service
    service.stop()


@pytest.mark.parametrize("fault", ["wrong password", "nobody there"])
def test_passwords_never_reach_the_log(tmp_path: Path, settings_urls: tuple[str, str], fault: str) -> None:
    database, redis = (urlsplit(url) for url in settings_urls)
    place = (
        "127.0.0.1:1/none"
        if fault == "nobody there"
        else f"{database.hostname}:{database.port}{database.path}"
    )
    service = ServiceProcess(
        tmp_path,
        f"postgresql://{database.username}:Zq-database-Zq@{place}",
        f"redis://:Zq-redis-Zq@{redis.hostname}:{redis.port}/0",
        LOGGING_LEVEL="debug",
    )
    service.launch()
    try:
        service.wait_for("/health/live")
        answers = [
            service.api.post(EVENTS, an_event()),
            service.api.get(EVENTS),
            service.api.get("/health"),
            service.api.get("/health/ready"),
        ]
    finally:
        service.stop()

    assert answers[2].status == 503
    said = service.log + "".join(answer.body.decode() for answer in answers)
    assert "Zq-" not in said


@pytest.fixture
def settings_urls(service: ServiceProcess) -> tuple[str, str]:
    """Where database and Redis are, as the shared service is told."""
    return service.database_url, service.redis_url


@only_linux
def test_workers_inherit_no_secret(
    tmp_path: Path, settings_urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Python runs this module in every process before anything else; the workers are forks.
    hooks, written = tmp_path / "hooks", tmp_path / "environments"
    hooks.mkdir()
    written.mkdir()
    (hooks / "sitecustomize.py").write_text(REPORT_ENVIRONMENT_AFTER_FORK)
    monkeypatch.setenv("PYTHONPATH", str(hooks))
    monkeypatch.setenv("REPORT_TO", str(written))
    monkeypatch.setenv("DB_PASSWORD", "not-for-workers")
    monkeypatch.setenv("REDIS_PASSWORD", "not-for-workers")

    with ServiceProcess(tmp_path / "service", *settings_urls) as service:
        eventually(lambda: len(list(written.iterdir())) >= 2)
        workers = descendants(service.pid)

    environments = {int(path.name): json.loads(path.read_text()) for path in written.iterdir()}
    assert environments.keys() >= set(workers)
    for environ in environments.values():
        assert environ["REPORT_TO"] == str(written)
        assert not {"DB_PASSWORD", "REDIS_PASSWORD"} & environ.keys()
        assert not {"DATASTORAGE_DATABASE_URL", "DATASTORAGE_REDIS_URL"} & environ.keys()
        assert "not-for-workers" not in environ.values()


REPORT_ENVIRONMENT_AFTER_FORK = """
import json, os, pathlib

def report():
    draft = pathlib.Path(os.environ["REPORT_TO"]).with_name(f"draft-{os.getpid()}")
    draft.write_text(json.dumps(dict(os.environ)))
    draft.rename(pathlib.Path(os.environ["REPORT_TO"], str(os.getpid())))

os.register_at_fork(after_in_child=report)
"""


def test_no_connection_is_left_after_the_end(start_service: StartService, owner: Connection) -> None:
    service = start_service()
    for _ in range(20):
        assert on_a_new_connection(service.api, EVENTS, an_event()) == 201
    pids = descendants(service.pid)
    assert connections_of(owner, pids) > 0

    code = service.stop()

    assert code == 0
    eventually(lambda: connections_of(owner, pids) == 0, timeout_seconds=1)


def connections_of(owner: Connection, pids: list[int]) -> int:
    names = owner.scalars(text("SELECT application_name FROM pg_stat_activity"))
    return sum(name.startswith("datastorage/") and int(name.rpartition("/")[2]) in pids for name in names)


@only_linux
def test_runtime_directory_goes_with_the_service(tmp_path: Path, settings_urls: tuple[str, str]) -> None:
    service = ServiceProcess(tmp_path, *settings_urls, SERVER_WORKERS="1")
    service.forget_variable("TMPDIR")
    with service:
        [worker] = descendants(service.pid)  # the one that is ready: its metrics are open
        files = {os.readlink(each) for each in Path(f"/proc/{worker}/fd").iterdir()}  # noqa: PTH115 - deleted ones too
        metrics = {Path(name).parent for name in files if name.endswith(".db")}
        assert len(metrics) == 1
        runtime = metrics.pop().parent
        assert runtime.is_dir()
        assert runtime.stat().st_mode & 0o777 == 0o700

    assert not runtime.exists()


class PlainGunicorn(ServiceProcess):
    """The service as gunicorn's own command starts it."""

    arguments = ("-m", "gunicorn", "-c", "python:datastorage.gunicorn_conf")


def test_plain_gunicorn_starts_the_same_service(tmp_path: Path, settings_urls: tuple[str, str]) -> None:
    with PlainGunicorn(tmp_path, *settings_urls) as service:
        for _ in range(10):
            assert on_a_new_connection(service.api, EVENTS, an_event()) == 201
        counts = {written(Scrape(Api(service.metrics_api.url))) for _ in range(8)}
        elsewhere = service.metrics_api.get(EVENTS).status

    assert counts == {10}
    assert elsewhere == 404


def written(scrape: Scrape) -> float:
    return scrape.value("audit_traces_total", service="gateway", status="success")


@only_linux
@pytest.mark.parametrize("kind", [ServiceProcess, PlainGunicorn])
def test_no_process_shows_a_secret_it_was_started_with(
    tmp_path: Path, settings_urls: tuple[str, str], kind: type[ServiceProcess]
) -> None:
    with kind(tmp_path, *settings_urls) as service:
        # The first worker is ready before the second is there.
        eventually(lambda: len(descendants(service.pid)) >= 2)
        pids = [service.pid, *descendants(service.pid)]
        shown = [Path(f"/proc/{pid}/environ").read_bytes() for pid in pids]
        loaded = [line for line in service.log_lines if line["msg"] == "Configuration loaded successfully"]

    assert len(shown) >= 3
    for environ in shown:
        assert b"DATASTORAGE_SERVER_PORT=" in environ
        assert b"_URL=" not in environ
        assert not any(url.encode() in environ for url in settings_urls)
    assert len(loaded) == 1
