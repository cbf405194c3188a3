"""Mode ``none``: callers without credentials."""

from typing import Final

from datastorage.platform.access.caller import Granted
from datastorage.platform.access.credentials import Credentials
from datastorage.platform.access.identity import Identity, Kind
from datastorage.platform.access.permissions import GRANTABLE, Permission

NAME: Final = "none"
_BESIDE_OTHERS = frozenset({Permission.READ, Permission.WRITE})


class NoneMode:
    """Takes every caller; beside other modes those that send no ``Authorization``, to read and to write.

    Args:
        caller: the name of the anonymous caller.
        is_alone: whether there is no other mode: then every request may do everything.
    """

    name = NAME
    is_backend_failing = False

    def __init__(self, caller: str, *, is_alone: bool) -> None:
        identity = Identity(name=caller, kind=Kind.ANONYMOUS, mode=NAME)
        self._caller = Granted(identity, frozenset(GRANTABLE) if is_alone else _BESIDE_OTHERS)
        self._is_alone = is_alone

    def recognise(self, credentials: Credentials, permission: Permission) -> Granted | None:
        """Return the anonymous caller."""
        del permission
        return self._caller if self._is_alone or not credentials.has_authorization else None
