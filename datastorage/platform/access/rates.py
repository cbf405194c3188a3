"""How many requests a caller may send, and where it stands (access.md 6)."""

from dataclasses import dataclass

from datastorage.settings import Rate


@dataclass(frozen=True, slots=True)
class Quota:
    """Where a caller stands: what it may still send, and when it may send everything again.

    Attributes:
        policy: ``read``, ``write`` or ``failures``.
        rate: what is enforced; in memory the share of this worker.
        remaining: requests.
        reset_seconds: whole seconds, at least 1.
        is_exceeded: whether this request is one too many.
    """

    policy: str
    rate: Rate
    remaining: int
    reset_seconds: int
    is_exceeded: bool

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The quota as the fields of draft-ietf-httpapi-ratelimit-headers say it."""
        policy = f'"{self.policy}";q={self.rate.amount};w={self.rate.seconds}'
        return [
            ("RateLimit-Policy", policy),
            ("RateLimit", f'"{self.policy}";r={self.remaining};t={self.reset_seconds}'),
        ]
