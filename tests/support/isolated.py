"""A service whose servers are its own, for tests that stop, kill or freeze them."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, NullPool, create_engine, text

from datastorage.embedded.postgres import EmbeddedPostgres
from datastorage.embedded.redis import EmbeddedRedis
from tests.support.http import Api
from tests.support.servers import TestDatabase, migrated_database
from tests.support.service import ServiceProcess, free_port
from tests.support.waiting import eventually


@dataclass
class IsolatedService:
    """A running service with the PostgreSQL and the Redis that only it uses."""

    service: ServiceProcess
    postgres: EmbeddedPostgres
    redis: EmbeddedRedis
    database: TestDatabase

    @property
    def api(self) -> Api:
        """A client of the service."""
        return self.service.api

    @contextmanager
    def owner(self) -> Iterator[Connection]:
        """Open an autocommitting connection as the schema owner."""
        engine = create_engine(self.database.owner_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            yield connection
        engine.dispose()

    @contextmanager
    def locked_events(self) -> Iterator[None]:
        """Let every statement on ``audit_events`` wait until the block ends."""
        engine = create_engine(self.database.owner_url, poolclass=NullPool)
        with engine.begin() as connection:
            connection.execute(text("LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE"))
            yield
        engine.dispose()

    def another_service(self, directory: Path, **settings: str) -> ServiceProcess:
        """Return a further service on the same servers, not started yet."""
        url = self.database.app_url.set(drivername="postgresql").render_as_string(hide_password=False)
        return ServiceProcess(directory, url, self.redis.url, **settings)

    def restore(self) -> None:
        """Undo what a test did to the servers, and wait until the service has noticed."""
        for server in (self.postgres, self.redis):
            if server.is_running:
                server.thaw()
            else:
                server.start()
        eventually(lambda: self.api.get("/health").json.get("redis") == "connected")
        eventually(lambda: self.api.get("/health/ready").status == 200)


@contextmanager
def isolated_service(directory: Path, **settings: str) -> Iterator[IsolatedService]:
    """Start everything; ``settings`` are variables of the service without their prefix."""
    with ExitStack() as stack:
        # Fixed ports: a server that comes back has to be where the service looks for it.
        postgres = stack.enter_context(EmbeddedPostgres(directory / "postgres", port=free_port()))
        redis = stack.enter_context(EmbeddedRedis(directory / "redis", port=free_port()))
        database = stack.enter_context(migrated_database(postgres.url("postgres")))
        url = database.app_url.set(drivername="postgresql").render_as_string(hide_password=False)
        service = ServiceProcess(directory / "service", url, redis.url, **settings)
        isolated = IsolatedService(stack.enter_context(service), postgres, redis, database)
        try:
            yield isolated
        finally:
            isolated.restore()
