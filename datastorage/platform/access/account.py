"""What is kept of an account: who bears a token, and what the API server said it may do."""

from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from datastorage.platform.access.identity import Identity
from datastorage.platform.clock import monotonic_seconds

NEVER: Final = float("-inf")


@dataclass(slots=True)
class Account:
    """What was found out about one token, and until when it counts."""

    identity: Identity
    accepted_at: float
    expires_at: float
    token_expires_at: float | None
    """When the token itself ends, in Unix seconds."""
    lock: Lock = field(default_factory=Lock)
    decisions: dict[str, tuple[bool, float]] = field(default_factory=dict)
    written_at: float = NEVER
    """When the API server itself last allowed a write."""

    def kept(self, verb: str) -> bool | None:
        """Return whether a verb is allowed, ``None`` if no answer counts any more."""
        allowed, until = self.decisions.get(verb, (False, NEVER))
        return allowed if monotonic_seconds() < until else None
