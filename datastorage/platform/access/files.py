"""The files that access control needs: the policy, the tokens, which may have its roles, and session keys."""

from datetime import timedelta
from typing import Final

from datastorage.platform.access.policy import PolicyFile, PolicySchema
from datastorage.platform.access.roles import BUILT_IN, Roles
from datastorage.platform.access.session_keys import SessionKeys
from datastorage.platform.access.tokens import TokensFile, TokensSchema
from datastorage.settings import AuthSettings, ConsoleSettings

LOOK_INTERVAL: Final = timedelta(seconds=10)
"""How often the files are looked at, apart from decisions about ``admin``, which look first."""


class AccessFiles:
    """Opened before the first fork, so that a worker which starts while a file is broken has the good one.

    Args:
        auth: names the files of the policy and of the tokens, if there are any.
        console: names the file of the keys that seal sessions.
        own_keys: seal sessions where it names none.

    Attributes:
        policy: the policy, ``None`` without its file.
        tokens: the tokens, likewise.
        session_keys: as they were when the files were opened: unlike the others they are read once.

    Raises:
        BadFileError: one of them cannot be used.
    """

    def __init__(
        self, auth: AuthSettings, console: ConsoleSettings, own_keys: SessionKeys | None = None
    ) -> None:
        policy, tokens, keys = auth.policy_file, auth.tokens_file, console.session_key_file
        self.policy = None if policy is None else PolicyFile(policy, PolicySchema())
        self.tokens = None if tokens is None else TokensFile(tokens, TokensSchema(self._roles))
        own_keys = own_keys or SessionKeys.random()
        self.session_keys = own_keys if keys is None else SessionKeys.read(keys)

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
