"""The files that access control needs: the policy, and the tokens, which may have roles of the policy."""

from datetime import timedelta
from pathlib import Path
from typing import Final

from datastorage.platform.access.policy import PolicyFile, PolicySchema
from datastorage.platform.access.roles import BUILT_IN, Roles
from datastorage.platform.access.tokens import TokensFile, TokensSchema

LOOK_INTERVAL: Final = timedelta(seconds=10)
"""How often the files are looked at, apart from decisions about ``admin``, which look first."""


class AccessFiles:
    """Opened before the first fork, so that a worker which starts while a file is broken has the good one.

    Args:
        policy: the policy file, if the settings name one.
        tokens: the file of tokens, likewise.

    Raises:
        BadFileError: one of them cannot be used.
    """

    def __init__(self, policy: Path | None, tokens: Path | None) -> None:
        self.policy = None if policy is None else PolicyFile(policy, PolicySchema())
        self.tokens = None if tokens is None else TokensFile(tokens, TokensSchema(self._roles))

    @property
    def are_valid(self) -> bool:
        """Whether the newest content of both is in force."""
        return all(file.is_valid for file in (self.policy, self.tokens) if file is not None)

    def look(self) -> None:
        """Read again what has changed."""
        for file in (self.policy, self.tokens):
            if file is not None:
                file.look()

    def _roles(self) -> Roles:
        return BUILT_IN if self.policy is None else self.policy.value.roles
