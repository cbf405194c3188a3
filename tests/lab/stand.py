"""One service under gunicorn with servers of its own, to be broken and healed."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import redis
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import Connection, NullPool, create_engine, make_url

from datastorage.dlq.admin import QueueAdmin
from datastorage.dlq.entry import Stream
from datastorage.embedded.postgres import EmbeddedPostgres
from datastorage.platform.clock import utc_now
from tests.lab.proxy import Proxy
from tests.lab.slow_disk import SlowDisk, SlowRedis
from tests.support.servers import migrated_database
from tests.support.service import ServiceProcess, free_port
from tests.support.standby import catch_up, promote, set_read_only, standby_of
from tests.support.tls import Authority

if TYPE_CHECKING:
    from tests.lab.guards import Guard

QUIET_SECONDS = 120
FELT_SECONDS = 60

LOCAL = "127.0.0.1"
"""Whom the certificate of a service is for."""

QUEUE_KEYS = (
    "audit:dlq:events",
    "audit:dlq:notifications",
    "audit:dlq:events:retry",
    "audit:dlq:notifications:retry",
)

ORIGIN = "lab.example.org/ledger"

REASON_FIELDS = ("outcome", "reason", "db_reason", "dlq_reason")


class Stand:
    """PostgreSQL behind a proxy, Redis, and one service (or more) using both.

    Args:
        directory: for data, logs and runtime files.
        postgres_settings, redis_settings: lines of the servers' configuration.
        service_settings: environment variables of the service without their prefix.
        is_encrypted: whether clients come by TLS.

    Attributes:
        guard: knows the clients; without one everybody may do everything.
        process: runs a service.
        key_file: of the ledger.
    """

    def __init__(
        self,
        directory: Path,
        *,
        postgres_settings: dict[str, str] | None = None,
        redis_settings: dict[str, str] | None = None,
        service_settings: Mapping[str, str] | None = None,
        is_encrypted: bool = False,
    ) -> None:
        self._stack = ExitStack()
        self.directory = directory
        # Fixed ports: a server that was killed has to come back where the service looks for it.
        self.postgres = EmbeddedPostgres(
            directory / "postgres", port=free_port(), settings=postgres_settings or {}
        )
        self.disk = SlowDisk(directory / "disk")
        self.redis = SlowRedis(
            directory / "redis", self.disk, port=free_port(), settings=redis_settings or {}
        )
        self.key_file = directory / "ledger-key.pem"
        self._service_settings = {
            "REDIS_DLQ_POLL_INTERVAL": "500ms",
            "REDIS_DLQ_READ_TIMEOUT": "200ms",
            "REDIS_DLQ_BACKOFF": "1s,2s,2s",
            "REDIS_DLQ_MAX_RETRIES": "100",
            "REDIS_DLQ_CLAIM_INTERVAL": "1s",
            "REDIS_DLQ_CLAIM_MIN_IDLE": "2s",
            "LIMITS_MAX_EVENT_AGE": "off",
            "LIMITS_MAX_EVENT_AHEAD": "off",
            "LOGGING_LEVEL": "warn",
            "LEDGER_SIGNING_KEY_FILE": str(self.key_file),
            "LEDGER_ORIGIN": ORIGIN,
        } | dict(service_settings or {})
        self.authority = Authority(directory) if is_encrypted else None
        self.guard: Guard | None = None
        self.process = ServiceProcess
        self.services: list[ServiceProcess] = []
        self.cuts: list[tuple[float, float]] = []
        """When a server was cut off in mid-answer, in monotonic seconds."""
        self.is_felt: Callable[[], bool] = lambda: True
        """Whether clients have noticed the fault as they should; set by whoever watches them."""

    def __enter__(self) -> Self:
        make_key(self.key_file)
        self._stack.enter_context(self.postgres)
        self._stack.enter_context(self.redis)
        self.proxy = Proxy(self.postgres.port)
        self._stack.callback(self.proxy.close)
        database = self._stack.enter_context(migrated_database(self.postgres.url("postgres")))
        self._owner = create_engine(database.owner_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        self._stack.callback(self._owner.dispose)
        app_url = make_url(database.app_url).set(drivername="postgresql", port=self.proxy.port)
        self._app_url = app_url.render_as_string(hide_password=False)
        self.add_service()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def add_service(self, *, ready: bool = True) -> ServiceProcess:
        """Start one more service on the same servers, and wait until it is ready (or only alive)."""
        directory = self.directory / f"service-{len(self.services)}"
        directory.mkdir(exist_ok=True)  # with a runtime directory on a disk of its own, for some
        settings = self._service_settings | (self.guard.settings if self.guard else {})
        service = self.process(directory, self._app_url, self.redis.url, **settings)
        if self.authority is not None:
            service.use_tls(self.authority.issue(LOCAL), self.authority.client())
        self.services.append(service)
        self._stack.callback(service.stop)
        return service.start(ready=ready)

    def headers(self) -> dict[str, str]:
        """Return what a client shows."""
        return {} if self.guard is None else {"Authorization": f"Bearer {self.guard.token()}"}

    @property
    def service(self) -> ServiceProcess:
        """The first service."""
        return self.services[0]

    def owner(self) -> Connection:
        """Return a connection to the database as the schema's owner, past the proxy."""
        return self._owner.connect()

    def superuser(self) -> Connection:
        """Return a connection as the superuser, past the proxy."""
        url = make_url(self.postgres.url("postgres")).set(drivername="postgresql+psycopg")
        return create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect()

    def kill_postgres(self) -> None:
        """SIGKILL for the postmaster and every backend."""
        with self._cutting_off():
            self.postgres.kill()

    def make_read_only(self) -> None:
        """Let PostgreSQL refuse writes, on open connections too, at the latest until the stand is gone."""
        self._stack.callback(set_read_only, self.postgres, "off")
        set_read_only(self.postgres, "on")

    def follow(self) -> EmbeddedPostgres:
        """Start a standby of PostgreSQL."""
        return self._stack.enter_context(standby_of(self.postgres, self.directory / "standby"))

    def fail_over(self, standby: EmbeddedPostgres) -> None:
        """Promote the standby and lead new connections to it; those that are open stay where they are."""
        catch_up(standby, self.postgres)
        promote(standby)
        self.proxy.server_port = standby.port
        url = self._owner.url.set(port=standby.port)
        self._owner = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        self._stack.callback(self._owner.dispose)

    def kill_redis(self) -> None:
        """SIGKILL for Redis."""
        with self._cutting_off():
            self.redis.kill()

    @contextmanager
    def _cutting_off(self) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.cuts.append((started, time.monotonic()))

    def hold(self, seconds: float) -> None:
        """Let a fault last that long, and on until it is felt: a busy machine needs more time."""
        time.sleep(seconds)
        wait_until(self.is_felt, FELT_SECONDS, lambda: "nobody felt the fault", pause_seconds=0.25)

    def redis_client(self) -> "redis.Redis":
        """Return a client of the queue's Redis."""
        return redis.Redis.from_url(self.redis.url)

    def queued(self) -> int:
        """Return how many records wait in the queue, parked ones included."""
        with self.redis_client() as client:
            sizes = [client.zcard(key) if key.endswith("retry") else client.xlen(key) for key in QUEUE_KEYS]
        return sum(int(size) for size in sizes)

    def reasons(self) -> set[str]:
        """Return why writes did not go the ordinary way, in the words of the services' logs."""
        lines = [line for service in self.services for line in service.log_lines]
        return {str(line[name]) for line in lines for name in REASON_FIELDS if name in line}

    def wait_until_queued(self, number: int) -> None:
        """Wait until that many records are in the queue."""
        wait_until(lambda: self.queued() >= number, FELT_SECONDS, lambda: f"only {self.queued()} queued")

    def is_quiet_in_time(self) -> bool:
        """Wait until the queue is empty, and tell whether it ever was."""
        try:
            wait_until(lambda: self.queued() == 0, QUIET_SECONDS)
        except AssertionError:
            return False
        return True

    def bring_back_dead_letters(self) -> int:
        """Do what an operator does about records that were given up; return how many there were."""
        with self.redis_client() as client:
            admin = QueueAdmin(client)
            letters = list(admin.entries(Stream.EVENTS, dead=True))
            for letter in letters:
                admin.bring_back(Stream.EVENTS, letter, utc_now())
        self.is_quiet_in_time()
        return len(letters)


def wait_until(
    condition: Callable[[], bool],
    seconds: float,
    complaint: Callable[[], str] = lambda: "timed out",
    *,
    pause_seconds: float = 0.05,
) -> None:
    """Return when ``condition`` holds.

    Raises:
        AssertionError: it did not within ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, complaint()
        time.sleep(pause_seconds)


def make_key(file: Path) -> None:
    """Write a key that signs."""
    key = Ed25519PrivateKey.generate()
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
