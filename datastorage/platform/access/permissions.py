"""What a caller must be allowed to do; the operation declares it, the gate of access control reads it."""

from enum import StrEnum

from datastorage.platform.request_class import RequestClass


class Permission(StrEnum):
    """Four permissions, none of which implies another, and the two ways to need none of them."""

    NOTHING = "nothing"
    """Whoever reaches the port may call it: probes, the API document, its pages."""
    IDENTITY = "identity"
    """Every caller that has proved who it is."""
    READ = "read"
    EXPORT = "export"
    WRITE = "write"
    ADMIN = "admin"

    @property
    def request_class(self) -> RequestClass:
        """The class of requests that need it."""
        return RequestClass.WRITE if self in _WRITING else RequestClass.READ


_WRITING = frozenset({Permission.WRITE, Permission.ADMIN})

GRANTABLE = (Permission.READ, Permission.EXPORT, Permission.WRITE, Permission.ADMIN)
"""What a caller may have, in the order in which it is shown."""
