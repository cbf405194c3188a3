"""Why a gate keeps a caller out."""

from typing import Self

from datastorage.errors import DataStorageError
from datastorage.platform.access.rates import Quota


class AccessRefused(DataStorageError):
    """A gate keeps the caller out.

    Attributes:
        reason: counted in ``datastorage_auth_refusals_total{reason}`` and logged; the caller is not told.
        mode: the mode that refuses, ``unknown`` where none claimed the request.
    """

    def __init__(self, detail: str, reason: str, *, mode: str = "unknown", **members: str) -> None:
        super().__init__(detail, **members)
        self.reason = reason
        self.mode = mode


class Unauthorized(AccessRefused):
    """The caller has not shown who it is; ``is_bad_token``: it has shown a token that nobody accepts."""

    slug = "unauthorized"

    def __init__(
        self, detail: str, reason: str, *, mode: str = "unknown", is_bad_token: bool = False
    ) -> None:
        super().__init__(detail, reason, mode=mode)
        self.is_bad_token = is_bad_token

    @classmethod
    def bad_token(cls, reason: str, mode: str = "unknown") -> Self:
        """Return the refusal of a token; callers learn the same whatever is wrong with it."""
        return cls("the bearer token was not accepted", reason, mode=mode, is_bad_token=True)


class CsrfFailed(AccessRefused):
    """A form does not come from a page that was made for this session."""

    slug = "csrf-failed"

    def __init__(self) -> None:
        super().__init__("the form is too old or came from another site", "csrf_failed")


class AccessUnknown(AccessRefused):
    """Whoever knows the caller or its permissions does not answer: send the request again."""

    slug = "auth-unavailable"
    retry_after_seconds = 2

    def __init__(self, mode: str) -> None:
        super().__init__("access cannot be checked now - please retry", "review_unavailable", mode=mode)


class RateLimited(AccessRefused):
    """The caller, or its address, sends too much.

    Attributes:
        status: the HTTP status where an installation has chosen one, ``None`` for that of the table.
        retry_after_seconds: until a request would pass.
        quota: what is enforced, and where the caller stands.
    """

    slug = "rate-limit-exceeded"

    def __init__(
        self, detail: str, reason: str, quota: Quota, *, status: int | None, mode: str = "unknown"
    ) -> None:
        super().__init__(detail, reason, mode=mode)
        self.status = status
        self.retry_after_seconds = quota.reset_seconds
        self.quota = quota
