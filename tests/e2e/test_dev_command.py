"""``datastorage dev``: one command starts everything, and nothing is left behind."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from datastorage.embedded.postgres import EmbeddedPostgres
from datastorage.embedded.stack import DATABASE, OWNER_ROLE
from tests.support.builders import EVENTS, an_event
from tests.support.dev import DevProcess
from tests.support.users import UserPython, normal_user, open_directory

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="watches processes by pidfd; only Linux ends children with their parent"
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevProcess]:
    """One that runs, for tests that leave it running."""
    with DevProcess(tmp_path_factory.mktemp("dev") / "data") as dev:
        yield dev.start()


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[DevProcess]:
    with DevProcess(tmp_path / "data") as dev:
        yield dev


def test_it_says_where_everything_is(shared: DevProcess) -> None:
    assert shared.api.get("/health").json == {
        "status": "healthy",
        "database": "connected",
        "redis": "connected",
        "auth": "none",
        "ledger": "ok",
    }
    assert shared.api.get("/api/v1/whoami").json["name"] == "dev"
    assert f"service      http://127.0.0.1:{shared.port}\n" in shared.output
    assert f"metrics      http://127.0.0.1:{shared.metrics_port}/metrics\n" in shared.output
    assert f"data         {shared.data}\n" in shared.output


def test_printed_commands_write_an_event_and_find_it(shared: DevProcess) -> None:
    if shutil.which("curl") is None:
        pytest.skip("the commands are for curl, which is not installed")

    write, find = (run_command(command) for command in shared.curl_commands)

    assert write["message"] == "Audit event created successfully"
    assert [event["event_id"] for event in find["data"]] == [write["event_id"]]


def run_command(command: str) -> dict[str, Any]:
    arguments = shlex.split(command)
    result = subprocess.run(arguments, capture_output=True, check=True)  # noqa: S603 - we printed it
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def test_busy_port_is_named(shared: DevProcess, tmp_path: Path) -> None:
    with DevProcess(tmp_path / "data").launch(port=str(shared.port)) as second:
        code = second.wait()

    assert code == 1
    assert f"Error: port {shared.port} is in use" in second.output
    assert "--port" in second.output
    assert not (tmp_path / "data").exists()


def test_busy_metrics_port_is_named(shared: DevProcess, tmp_path: Path) -> None:
    with DevProcess(tmp_path / "data").launch(**{"metrics-port": str(shared.metrics_port)}) as second:
        code = second.wait()

    assert code == 1
    assert f"Error: port {shared.metrics_port} is in use" in second.output
    assert "--metrics-port" in second.output


def test_busy_data_directory_is_named_with_its_holder(shared: DevProcess) -> None:
    with DevProcess(shared.data).launch() as second:
        code = second.wait()

    holder = (shared.data / "postgres" / "server.lock").read_text().split()[0]
    assert code == 1
    assert f"data directory {shared.data / 'postgres'} is in use by process {holder}" in second.output
    assert shared.api.get("/health/ready").status == 200


@pytest.mark.parametrize(
    ("options", "code", "complaint"),
    [
        ({"port": "99999"}, 2, "Invalid value for '--port': 99999 is not in the range 1<=x<=65535."),
        ({"metrics-port": "0"}, 2, "Invalid value for '--metrics-port': 0 is not in the range 1<=x<=65535."),
        ({"port": "80"}, 1, "not allowed to open port 80; choose one above 1023 with --port"),
        ({"port": "8123", "metrics-port": "8123"}, 2, "--port and --metrics-port are both 8123; choose two"),
    ],
    ids=["too high", "too low", "privileged", "twice the same"],
)
def test_port_that_cannot_be_used_is_one_line(
    dev: DevProcess, options: dict[str, str], code: int, complaint: str
) -> None:
    dev.launch(**options)

    assert dev.wait() == code
    assert dev.output.splitlines()[-1] == f"Error: {complaint}"
    assert "Traceback" not in dev.output
    assert not dev.data.exists()


@pytest.mark.parametrize("place", ["below a file", "on a file system that takes no folders"])
def test_data_folder_that_cannot_be_made_is_one_line(tmp_path: Path, place: str) -> None:
    file = tmp_path / "file"
    file.touch()
    data = file / "data" if place == "below a file" else Path("/proc/datastorage")

    with DevProcess(tmp_path / "unused").launch(data=str(data)) as dev:
        code = dev.wait()

    reason = "Not a directory" if place == "below a file" else "No such file or directory"
    assert code == 1
    assert dev.output.splitlines()[1:] == [
        f"Error: the data folder {data} cannot be written: {reason}; choose another with --data"
    ]


def test_data_folder_of_another_user_is_one_line() -> None:
    with open_directory() as folder:
        found = UserPython.find(normal_user(), folder)
        private = folder / "private"
        private.mkdir(mode=0o755)
        private.chmod(0o555)
        with DevProcess(folder / "data", python=found.python, **found.options) as dev:
            code = dev.launch(data=str(private / "data")).wait()
            output = dev.output

    folder_and_reason = f"the data folder {private / 'data'} cannot be written: Permission denied"
    assert code == 1
    assert output.splitlines()[1:] == [f"Error: {folder_and_reason}; choose another with --data"]


def test_data_of_a_newer_version_are_left_alone(dev: DevProcess) -> None:
    with EmbeddedPostgres(dev.data / "postgres") as server:
        server.create_role(OWNER_ROLE, "any")
        server.create_database(DATABASE, owner=OWNER_ROLE)
        with psycopg.connect(server.url(DATABASE, OWNER_ROLE)) as connection:
            connection.execute("CREATE TABLE alembic_version (version_num varchar(32))")
            connection.execute("INSERT INTO alembic_version VALUES ('9999')")

    code = dev.launch().wait()

    assert code == 1
    assert dev.output.splitlines()[1].startswith(
        f"Error: the schema in {dev.data} cannot be brought to this version: Can't locate revision"
    )
    assert "Traceback" not in dev.output


def test_missing_package_is_one_line() -> None:
    script = "import sys; sys.modules['psutil'] = None; from datastorage.cli import main; main(['dev'])"

    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)  # noqa: S603 - our own

    assert result.returncode == 1
    assert result.stderr == "Error: dev needs psutil: pip install 'datastorage[binary,embedded]'\n"


def test_data_survive_a_restart(dev: DevProcess) -> None:
    event = an_event()
    dev.start()
    assert dev.api.post(EVENTS, event).status == 201
    assert dev.stop() == 0

    with DevProcess(dev.data).start() as again:
        found = again.api.get(EVENTS, {"correlation_id": event["correlation_id"]}).json["data"]

    assert [each["event_type"] for each in found] == [event["event_type"]]


def test_ctrl_c_stops_everything(dev: DevProcess) -> None:
    children = dev.start().children()
    assert len(children) >= 5  # PostgreSQL and its own children, Redis, the arbiter and its workers

    dev.signal(signal.SIGINT)

    assert dev.wait() == 0, dev.output
    assert children.have_ended(timeout_seconds=0)
    assert "Stopped PostgreSQL and Redis." in dev.output


@pytest.mark.parametrize("moment", ["Starting PostgreSQL", "Starting the service"])
def test_ctrl_c_is_heeded_during_the_start(dev: DevProcess, moment: str) -> None:
    dev.launch().wait_for(moment)
    children = dev.children()

    dev.signal(signal.SIGINT)

    assert dev.wait() == 0, dev.output
    assert children.have_ended(timeout_seconds=0)
    assert "Error" not in dev.output


def test_it_ends_when_the_service_does(dev: DevProcess) -> None:
    children = dev.start().children()

    os.kill(dev.service_pid, signal.SIGKILL)

    assert dev.wait() == 1
    assert "the service ended with exit code -9" in dev.output
    assert children.have_ended()


def test_killed_command_leaves_nothing_running(dev: DevProcess) -> None:
    children = dev.start().children()

    dev.signal(signal.SIGKILL)

    assert dev.wait() == -signal.SIGKILL
    assert children.have_ended()


def test_it_starts_again_on_the_data_of_a_killed_one(dev: DevProcess) -> None:
    dev.start()
    event = an_event()
    assert dev.api.post(EVENTS, event).status == 201
    dev.signal(signal.SIGKILL)
    dev.wait()

    with DevProcess(dev.data).start() as again:
        found = again.api.get(EVENTS, {"correlation_id": event["correlation_id"]}).json["data"]

    assert len(found) == 1


def test_it_works_for_a_normal_user() -> None:
    user = normal_user()
    with open_directory() as folder:
        os.chown(folder, user.pw_uid, user.pw_gid)
        found = UserPython.find(user, folder)
        with DevProcess(folder / "data", python=found.python, **found.options).start() as dev:
            status = dev.api.post(EVENTS, an_event()).status
            owner = (folder / "data" / "postgres").stat().st_uid
            code = dev.stop()

    assert (status, owner, code) == (201, user.pw_uid, 0)
