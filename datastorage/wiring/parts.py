"""What the modes of access control are made of."""

from dataclasses import dataclass

from datastorage.platform.access.files import AccessFiles
from datastorage.platform.access.policy import PolicyFile
from datastorage.platform.access.tokens import TokensFile
from datastorage.platform.clock import Clock
from datastorage.settings import AuthSettings, Settings
from datastorage.wiring.services import Services


@dataclass(frozen=True, slots=True)
class Parts:
    """The settings were checked to name the files that each mode needs."""

    services: Services
    settings: Settings
    files: AccessFiles
    clock: Clock

    @property
    def auth(self) -> AuthSettings:
        """The settings of access control."""
        return self.settings.auth

    @property
    def policy(self) -> PolicyFile:
        """The policy."""
        assert self.files.policy is not None
        return self.files.policy

    @property
    def tokens(self) -> TokensFile:
        """The tokens."""
        assert self.files.tokens is not None
        return self.files.tokens
