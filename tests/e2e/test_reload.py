"""SIGHUP: new settings and secrets for new workers, and nothing at all when they are wrong."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import Engine, text

from tests.support.builders import BATCH, EVENTS, an_event
from tests.support.exposition import Scrape
from tests.support.http import Api, assert_problem
from tests.support.processes import descendants
from tests.support.rolling import Ledger, clients
from tests.support.servers import ROLE_PASSWORD, TestDatabase
from tests.support.service import ServiceProcess
from tests.support.timeline import Watched
from tests.support.waiting import eventually

PLAIN_GUNICORN = ("-m", "gunicorn", "-c", "python:datastorage.gunicorn_conf")
REFUSED = "Reload refused, the old configuration stays"


class Configured(ServiceProcess):
    """A service with a file that tests change; servers and passwords come from variables."""

    @property
    def file(self) -> Path:
        return self.directory / "config.yaml"

    def configure(self, **groups: dict[str, Any]) -> None:
        server = {"host": "127.0.0.1"} | groups.pop("server", {})
        self.file.write_text(yaml.safe_dump(groups | {"server": server}))

    def reload(self) -> None:
        """Send the signal and wait until only new workers are left."""
        old = set(self.workers)
        self.signal(signal.SIGHUP)
        eventually(lambda: len(self.workers) == 2 and not old & set(self.workers))

    @property
    def workers(self) -> list[int]:
        return descendants(self.pid)


Configure = Callable[..., Configured]


@pytest.fixture
def start(service: ServiceProcess, tmp_path: Path) -> Iterator[Configure]:
    """Start a service that reads a file: ``start(audit={...})``; variables are in capitals.

    ``arguments`` is another command than ours, which finds the file by its variable.
    """
    started: list[Configured] = []

    def launch(
        database_url: str = service.database_url, arguments: tuple[str, ...] = (), **given: Any
    ) -> Configured:
        variables = {name: value for name, value in given.items() if name.isupper()}
        made = Configured(tmp_path, database_url, service.redis_url, **variables)
        started.append(made)
        made.forget_variable("DATASTORAGE_SERVER_HOST")
        made.configure(**{name: value for name, value in given.items() if not name.isupper()})
        made.arguments = arguments or ("-m", "datastorage", f"--config={made.file}", "serve")
        made._environ["CONFIG_PATH"] = str(made.file) if arguments else "/nowhere"
        made.launch()
        made.wait_for("/health/live")
        eventually(lambda: len(made.workers) == 2)
        return made

    yield launch
    for each in started:
        each.stop()


def test_new_workers_have_the_new_settings_and_no_request_fails(start: Configure) -> None:
    service = start(audit={"max_batch_size": 1000}, server={"threads": 8})
    batch = [an_event(), an_event()]
    assert service.api.post(BATCH, batch).status == 201
    ledger = Ledger()

    with clients(service.port, ledger, count=6):
        service.configure(audit={"max_batch_size": 1}, server={"threads": 4})
        service.reload()
        counted = ledger.count
        eventually(lambda: ledger.count > counted + 100)

    assert ledger.failures == []
    assert set(ledger.statuses) == {200, 201}
    assert_problem(service.api.post(BATCH, batch), 400, "batch-size-exceeded")
    loaded = [line for line in service.log_lines if line["msg"] == "Configuration loaded successfully"]
    assert [line["threads"] for line in loaded] == [8, 4]
    assert service.stop() == 0


def test_wrong_configuration_changes_nothing(start: Configure) -> None:
    service = start(audit={"max_batch_size": 1000})
    before = service.workers
    wrong = yaml.safe_dump({"audit": {"max_batch_size": "many"}, "logging": {"level": "loud"}})

    refused = [refused_reload(service, content) for content in (wrong, "server: [", None)]

    assert [line["level"] for line in refused] == ["error"] * 3
    assert len(refused[0]["problems"]) == 2
    assert "failed to parse config" in refused[1]["msg"]
    assert "failed to read config file" in refused[2]["msg"]
    assert service.workers == before
    assert service.api.post(BATCH, [an_event(), an_event()]).status == 201


def refused_reload(service: Configured, content: str | None) -> dict[str, Any]:
    """Reload with a file that says this, or without one, and return the line about it."""
    known = service.log.count(REFUSED)
    if content is None:
        service.file.unlink()
    else:
        service.file.write_text(content)
    service.signal(signal.SIGHUP)
    eventually(lambda: service.log.count(REFUSED) > known)
    return [line for line in service.log_lines if REFUSED in line["msg"]][-1]


def test_rotated_password_is_read(start: Configure, database: TestDatabase, tmp_path: Path) -> None:
    url = database.app_url
    secrets = tmp_path / "credentials.yaml"
    secrets.write_text(yaml.safe_dump({"password": "the-old-one"}))
    place = {"host": url.host, "port": url.port, "name": url.database, "user": url.username}
    service = start(
        database_url="",
        arguments=PLAIN_GUNICORN,
        database=place | {"secretsFile": str(secrets), "passwordKey": "password"},
    )
    assert service.api.get("/health/ready").status == 503

    secrets.write_text(yaml.safe_dump({"password": ROLE_PASSWORD}))
    service.reload()

    assert Api(service.api.url).get("/health/ready").status == 200
    assert service.api.post(EVENTS, an_event()).status == 201
    assert ROLE_PASSWORD not in service.log


def test_ports_stay_until_a_restart(start: Configure) -> None:
    service = start()
    service.configure(server={"host": "127.0.0.2"})

    service.reload()

    assert "Reload keeps the old ports" in service.log
    assert service.api.post(EVENTS, an_event()).status == 201


def test_shutdown_does_not_wait_for_a_reload(start: Configure, owner_engine: Engine) -> None:
    service = start(SERVER_ENDPOINT_PROPAGATION_DELAY="1s")
    watched = Watched(service)
    in_transactions = owner_engine.execution_options(isolation_level="READ COMMITTED")
    with ThreadPoolExecutor() as pool:
        with in_transactions.begin() as connection:
            connection.execute(text("LOCK TABLE remediation_workflow_catalog IN ACCESS EXCLUSIVE MODE"))
            request = pool.submit(watched.ask, "/api/v1/workflows")
            eventually(lambda: Scrape(service.metrics_api).value("http_requests_in_flight") >= 1)
            service.signal(signal.SIGHUP)
            eventually(lambda: service.log.count("Booting worker") == 4)
            watched.signal(signal.SIGTERM)
            eventually(lambda: bool(watched.said("Draining in-flight HTTP connections")))
        watched.end()

    assert 1.0 <= watched.said_at("Draining in-flight HTTP connections") < 2.0
    assert request.result().status == 200
    assert watched.exit_code == 0


def test_signals_that_would_change_the_number_of_workers_are_ignored(start: Configure) -> None:
    service = start()
    before = service.workers

    for number in (signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR2, signal.SIGWINCH, signal.SIGUSR1):
        service.signal(number)
    eventually(lambda: service.log.count("Signal ignored") == 4)
    eventually(lambda: "Handling signal: usr1" in service.log)

    assert service.workers == before
    assert service.api.post(EVENTS, an_event()).status == 201
