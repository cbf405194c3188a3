"""What has to hold before the service starts: one ERROR line and exit code 1 where it does not."""

import logging
from contextlib import suppress
from dataclasses import asdict

import redis
from sqlalchemy.exc import SQLAlchemyError

from datastorage.dlq.durability import persistence_of
from datastorage.errors import DatabaseUnsuitable
from datastorage.platform.access.files import AccessFiles
from datastorage.platform.access.session_keys import SessionKeys
from datastorage.platform.db.database import application_name
from datastorage.platform.db.engine import connected
from datastorage.platform.redis import redis_client
from datastorage.platform.server.tls import ServerTls
from datastorage.platform.watched import BadFileError
from datastorage.settings import LedgerSettings, ServerTlsSettings, Settings
from datastorage.wiring import LedgerParts

logger = logging.getLogger(__name__)


def access_files(settings: Settings, own_keys: SessionKeys) -> AccessFiles | None:
    """Return the files that access control needs, ``None``, with the reason in the log, if they are bad."""
    auth = settings.auth
    try:
        files = AccessFiles(auth, settings.console, own_keys)
    except BadFileError as error:
        logger.error("Failed to load access policy", extra={"error": str(error)})
        return None
    if auth.mode == ("none",):
        logger.warning("Access control is off")
    else:
        logger.info("Access control ready", extra={"modes": list(auth.mode)})
    return files


def require_access_files(settings: Settings, own_keys: SessionKeys) -> AccessFiles:
    """Return the files that access control needs.

    Raises:
        SystemExit: with code 1; the log says what is wrong with them.
    """
    files = access_files(settings, own_keys)
    if files is None:
        raise SystemExit(1)
    return files


def require_tls(settings: ServerTlsSettings) -> ServerTls | None:
    """Return what encrypts connections, ``None`` without TLS.

    Raises:
        SystemExit: with code 1; the log says what is wrong with the certificate.
    """
    if not settings.is_on:
        return None
    try:
        return ServerTls(settings)
    except BadFileError as error:
        logger.error("Failed to load TLS certificate", extra={"error": str(error)})
        raise SystemExit(1) from error


def require_ledger(settings: LedgerSettings) -> LedgerParts:
    """Return the keys of the ledger, and its state.

    Raises:
        SystemExit: with code 1; the log says which key cannot be used.
    """
    try:
        return LedgerParts.of(settings)
    except BadFileError as error:
        logger.error("Failed to load secrets", extra={"error": str(error)})
        raise SystemExit(1) from error


def reloaded_ledger(settings: LedgerSettings, current: LedgerParts) -> LedgerParts:
    """Return the keys as they are now; those in use stay, with the reason in the log, if they are bad."""
    try:
        return current.renewed(settings)
    except BadFileError as error:
        logger.error("Ledger keys not reloaded", extra={"error": str(error)})
        return current


def require_suitable_database(settings: Settings) -> None:
    """Check whether the service can work in its database.

    A database that does not answer is no reason not to start; readiness tells until it does.

    Raises:
        SystemExit: with code 1; the log says what is wrong.
    """
    with suppress(SQLAlchemyError):
        try:
            with connected(settings.database, application_name()):
                pass
        except DatabaseUnsuitable as unsuitable:
            logger.error(unsuitable.cause)
            raise SystemExit(1) from unsuitable


def require_durable_queue(settings: Settings) -> None:
    """Check whether Redis keeps its entries, where the settings require it.

    A Redis that does not answer does not keep the service from starting: what it cannot confirm is refused
    later.

    Raises:
        SystemExit: with code 1; the log says what is missing.
    """
    if settings.redis.dlq_require_aof != "true":
        return
    with redis_client(settings.redis) as client:
        try:
            found = persistence_of(client)
        except (redis.RedisError, OSError):
            return  # each worker logs it
    if not found.is_durable("true"):
        logger.error("Redis cannot confirm entries, redis.dlq_require_aof is true", extra=asdict(found))
        raise SystemExit(1)
