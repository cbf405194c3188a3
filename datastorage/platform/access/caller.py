"""A caller that a mode has recognised: who it is, and what it may do."""

from dataclasses import dataclass
from typing import Protocol

from datastorage.platform.access.credentials import Credentials
from datastorage.platform.access.errors import AccessRefused
from datastorage.platform.access.identity import Identity
from datastorage.platform.access.permissions import Permission


class Caller(Protocol):
    """Whoever sent a request."""

    @property
    def identity(self) -> Identity:
        """Who it is."""

    @property
    def is_stale(self) -> bool:
        """Whether this rests on an old answer, because nobody gives a new one."""

    @property
    def expires_at(self) -> float | None:
        """When the credentials end, in Unix seconds; ``None`` where they do not, or nobody knows."""

    def may(self, permission: Permission) -> bool:
        """Tell whether the caller has ``permission``.

        Raises:
            AccessUnknown: whoever knows does not answer.
        """


@dataclass(frozen=True, slots=True)
class Granted:
    """A caller whose permissions are known with it."""

    identity: Identity
    permissions: frozenset[Permission]
    is_stale: bool = False
    expires_at: float | None = None

    def may(self, permission: Permission) -> bool:
        """Look at the permissions."""
        return permission in self.permissions


class Forbidden(AccessRefused):
    """The ``caller`` is known and lacks ``permission``."""

    slug = "forbidden"

    def __init__(self, permission: Permission, caller: Caller) -> None:
        detail = f"permission {permission} is missing"
        super().__init__(detail, "authorization_denied", mode=caller.identity.mode, permission=permission)
        self.caller = caller


class Mode(Protocol):
    """One way to recognise callers."""

    name: str

    @property
    def is_backend_failing(self) -> bool:
        """Whether the newest question to whoever knows the callers got no answer."""

    def recognise(self, credentials: Credentials, permission: Permission) -> Caller | None:
        """Return the caller, ``None`` if the request is none of this mode's.

        Args:
            credentials: what the request says.
            permission: what it needs; for ``admin`` only what is known now counts.

        Raises:
            Unauthorized: it is this mode's, and the caller is refused.
            AccessUnknown: whoever knows does not answer.
        """
