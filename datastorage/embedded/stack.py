"""PostgreSQL and Redis side by side, with roles, database and schema as the service expects them."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import NullPool, create_engine, make_url
from sqlalchemy.exc import SQLAlchemyError

import datastorage
from datastorage.embedded.errors import EmbeddedServerError
from datastorage.embedded.postgres import EmbeddedPostgres
from datastorage.embedded.redis import EmbeddedRedis
from datastorage.embedded.server import new_password

DATABASE = "action_history"
OWNER_ROLE = "datastorage"
APP_ROLE = "datastorage_app"


class Stack:
    """The two servers behind a service, with data in ``data_dir``.

    The schema belongs to one role and the service logs in as another, as in production: a privilege
    that it lacks there is missing here too.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.postgres = EmbeddedPostgres(data_dir / "postgres")
        self.redis = EmbeddedRedis(data_dir / "redis")

    def start(self) -> None:
        """Start both servers and bring the schema up to date.

        Raises:
            EmbeddedServerError: a server did not start, or the data cannot be used by this version;
                whatever did start is stopped again.
        """
        try:
            self._start()
        except OSError as error:
            what = f"the data folder {self.data_dir} cannot be written: {error.strerror}"
            raise EmbeddedServerError(f"{what}; choose another with --data") from error
        except (CommandError, SQLAlchemyError) as error:
            [reason, *_] = str(error).splitlines()
            what = f"the schema in {self.data_dir} cannot be brought to this version: {reason}"
            raise EmbeddedServerError(f"{what}; choose another folder with --data") from error

    def _start(self) -> None:
        try:
            self.postgres.start()
            for role in (OWNER_ROLE, APP_ROLE):
                self.postgres.create_role(role, new_password())
            self.postgres.create_database(DATABASE, owner=OWNER_ROLE)
            migrate(self.postgres.url(DATABASE, user=OWNER_ROLE))
            self.redis.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop both, in good order."""
        self.redis.stop()
        self.postgres.stop()


def migrate(url: str, revision: str = "head") -> None:
    """Bring the database at ``url`` to ``revision``.

    Raises:
        EmbeddedServerError: the migrations are not beside the package.
    """
    ini = Path(datastorage.__file__).resolve().parent.parent / "alembic.ini"
    if not ini.is_file():
        raise EmbeddedServerError(
            f"no migrations at {ini}: run from a source tree, installed with pip install -e"
        )
    config = Config(ini)
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()
