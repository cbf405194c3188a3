"""What can go wrong, in the words of the domain.

An error carries a slug, a sentence for the caller and, for bad input, the fields at fault. It has
never heard of HTTP: ``datastorage.platform.web.problems`` holds the only table from slug to status.

    DataStorageError
    ├── InvalidInput          the request can never succeed as it is
    │   └── BatchSizeExceeded
    ├── NotFound
    ├── MethodNotAllowed
    ├── Conflict              a stored record contradicts the request
    ├── RequestTooLarge
    ├── UnsupportedMediaType
    ├── RequestTimeout        the body did not arrive in time
    ├── AccessRefused         a gate keeps the caller out: ``platform/access/errors.py``
    ├── Overloaded            there is no room for the request now
    ├── QueueUnusable         neither the database nor the queue took the record
    └── DatabaseError         the database could not do it
        ├── Unavailable       no connection, or no room: send it again
        │   └── DatabaseUnsuitable  its encoding or search_path is wrong: an operator has to act
        ├── QueryTimeout
        ├── Deadlock
        ├── TransactionConflict
        ├── PartitionFailure  the month of a row is missing, detached or damaged
        └── RowRefused        this row breaks a constraint or does not fit its column
"""

from collections.abc import Mapping, Sequence
from typing import Self


class Fault(str):
    """Why one field was refused: the sentence for the caller and the reason counted in metrics.

    ``reason`` is one of the values of ``datastorage_validation_failures_total{reason}``.
    """

    __slots__ = ("reason",)
    reason: str

    def __new__(cls, message: str, reason: str = "invalid") -> Self:
        """Build the sentence and keep the reason beside it."""
        fault = super().__new__(cls, message)
        fault.reason = reason
        return fault


class DataStorageError(Exception):
    """Root of every error this service raises on purpose.

    Attributes:
        slug: last part of the problem type, the key of the table in ``problems``.
        detail: one sentence for the caller; never contains internals.
        title: replaces the title of the table where the contract asks for another one.
        members: further members of the problem document (``resource``, ``field``, ``value``).
    """

    slug = "internal-error"
    is_fault = True
    """Whether a 5xx is logged as one: some say only what an installation does not have."""

    def __init__(self, detail: str, *, title: str | None = None, **members: str | int) -> None:
        super().__init__(detail)
        self.detail = detail
        self.title = title
        self.members = members


class InvalidInput(DataStorageError):
    """The request is at fault; ``field_errors`` names every field and what is wrong with it."""

    slug = "validation-error"

    def __init__(
        self,
        detail: str,
        field_errors: Mapping[str, Fault],
        *,
        slug: str | None = None,
        title: str | None = None,
        **members: str | int,
    ) -> None:
        super().__init__(detail, title=title, **members)
        self.field_errors = dict(field_errors)
        if slug is not None:
            self.slug = slug

    @classmethod
    def of(cls, resource: str, field_errors: Mapping[str, Fault]) -> Self:
        """Name every fault of ``resource`` in one sentence, in the order of ``field_errors``."""
        parts = "; ".join(f"{field} - {fault}" for field, fault in field_errors.items())
        return cls(f"Validation failed for {resource}: {parts}", field_errors, resource=resource)

    @classmethod
    def of_items(cls, resource: str, field_errors: Mapping[str, Fault], *, item: str = "event") -> Self:
        """Name every fault of a batch of ``item``s; the keys are ``[index].field`` or ``[index]``."""
        parts = []
        for key, fault in field_errors.items():
            index, _, field = key[1:].partition("]")
            where = f"{item} at index {index}: "
            parts.append(f"{where}{field.removeprefix('.')} - {fault}" if field else f"{where}{fault}")
        return cls(f"Validation failed for {resource}: {'; '.join(parts)}", field_errors, resource=resource)


class BatchSizeExceeded(InvalidInput):
    """More items in one batch than the configured limit."""

    slug = "batch-size-exceeded"


class NotFound(DataStorageError):
    """There is no such record."""

    slug = "not-found"


class MethodNotAllowed(DataStorageError):
    """The path exists and has other methods; ``allowed`` lists them."""

    slug = "method-not-allowed"

    def __init__(self, method: str, path: str, allowed: Sequence[str]) -> None:
        super().__init__(f"{method} is not allowed on {path}")
        self.allowed = tuple(allowed)


class Conflict(DataStorageError):
    """A stored record has the same key and other content; ``members`` say which key."""

    slug = "conflict"


class RequestTooLarge(DataStorageError):
    """The body is larger than ``server.max_body_bytes``."""

    slug = "request-too-large"


class UnsupportedMediaType(DataStorageError):
    """The body is not JSON by its ``Content-Type``, or it is compressed."""

    slug = "unsupported-media-type"


class RequestTimeout(DataStorageError):
    """The body did not arrive within ``server.read_timeout``."""

    slug = "request-timeout"


class Overloaded(DataStorageError):
    """The request is not looked at, because others take all the room there is: send it again.

    ``reason`` says for what, as ``overload_refusals_total{reason}`` has it.
    """

    slug = "overloaded"
    retry_after_seconds = 1

    def __init__(self, detail: str, *, reason: str) -> None:
        super().__init__(detail)
        self.reason = reason


class QueueUnusable(DataStorageError):
    """Neither the database nor the dead-letter queue took the record: nothing is acknowledged."""

    slug = "service-unavailable"
    retry_after_seconds = 5


class DatabaseError(DataStorageError):
    """The database refused or failed; ``reason`` is the code counted in ``db_errors_total``.

    Attributes:
        reason: one of the codes of the failure classification (``db_unreachable``, ``timeout``, …).
        sqlstate: what PostgreSQL said, or ``None`` when there was no answer.
        constraint: name of the violated constraint, if the server named one.
        server_message: the primary message of the server's diagnostics; for the log and the queue,
            never for a client.
        ended_connection: the connection is of no further use; on a new one the same may succeed at once.
    """

    ended_connection = False

    def __init__(  # noqa: PLR0913 - one argument per fact of the server's diagnostics
        self,
        detail: str,
        *,
        reason: str = "unknown",
        sqlstate: str | None = None,
        constraint: str | None = None,
        server_message: str | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.sqlstate = sqlstate
        self.constraint = constraint
        self.server_message = server_message
        self.retry_after_seconds = retry_after_seconds

    @property
    def cause(self) -> str:
        """What the server or the driver said, in one line; for operators, never for a client."""
        # SQLAlchemy keeps the driver's own error in ``orig``, and adds a class and a link to its text.
        said = getattr(self.__cause__, "orig", None) or self.__cause__ or self.detail
        return self.server_message or str(said).partition("\n")[0]


class Unavailable(DatabaseError):
    """No connection, no room, or no permission to write: the same request may succeed later."""

    slug = "service-unavailable"


class DatabaseUnsuitable(Unavailable):
    """The service cannot work in this database until an operator changes it; ``cause`` says what."""

    def __init__(self, cause: str) -> None:
        detail = "database unavailable - please retry"
        super().__init__(detail, reason="misconfigured", server_message=cause, retry_after_seconds=2)


class QueryTimeout(DatabaseError):
    """The statement took longer than its limit."""

    slug = "query-timeout"


class Deadlock(DatabaseError):
    """Chosen as deadlock victim on every attempt."""

    slug = "deadlock"


class TransactionConflict(DatabaseError):
    """Serialization failure or lock not granted, on every attempt."""

    slug = "transaction-conflict"


class PartitionFailure(DatabaseError):
    """The partition of the row is missing, detached or damaged; other months are not affected."""


class RowRefused(DatabaseError):
    """PostgreSQL refused this one row and would refuse it again; ``constraint`` may say why."""
