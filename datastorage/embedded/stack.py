"""PostgreSQL and Redis side by side, with roles, database and schema as the service expects them."""

import secrets
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import NullPool, create_engine, make_url

import datastorage
from datastorage.embedded.errors import EmbeddedServerError
from datastorage.embedded.postgres import EmbeddedPostgres
from datastorage.embedded.redis import EmbeddedRedis

DATABASE = "action_history"
OWNER_ROLE = "datastorage"
APP_ROLE = "datastorage_app"


class Stack:
    """The two servers behind a service, with data in ``data_dir``.

    The schema belongs to one role and the service logs in as another, as in production: a privilege
    that the service lacks there is missing here too.
    """

    def __init__(self, data_dir: Path) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self.postgres = EmbeddedPostgres(data_dir / "postgres")
        self.redis = EmbeddedRedis(data_dir / "redis")

    def start(self) -> None:
        """Start both servers and bring the schema up to date.

        Raises:
            EmbeddedServerError: a server did not start; whatever did is stopped again.
        """
        try:
            self.postgres.start()
            for role in (OWNER_ROLE, APP_ROLE):
                self.postgres.create_role(role, secrets.token_urlsafe(24))
            self.postgres.create_database(DATABASE, owner=OWNER_ROLE)
            migrate(self.owner_url)
            self.redis.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop both, in good order."""
        self.redis.stop()
        self.postgres.stop()

    @property
    def owner_url(self) -> str:
        """How migrations log in."""
        return self.postgres.url(DATABASE, user=OWNER_ROLE)

    @property
    def app_url(self) -> str:
        """How the service logs in."""
        return self.postgres.url(DATABASE, user=APP_ROLE)


def migrate(url: str, revision: str = "head") -> None:
    """Bring the database at ``url`` to ``revision``.

    Raises:
        EmbeddedServerError: the migrations are not beside the package.
    """
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.connect() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def alembic_config() -> Config:
    """Return alembic's configuration of this source tree.

    Raises:
        EmbeddedServerError: this is an installed package without the migrations beside it.
    """
    ini = Path(datastorage.__file__).resolve().parent.parent / "alembic.ini"
    if not ini.is_file():
        raise EmbeddedServerError(
            f"no migrations at {ini}: run from a source tree, installed with pip install -e"
        )
    return Config(ini)
