"""The one error of configuration."""

from collections.abc import Sequence


class SettingsError(Exception):
    """The service cannot start as configured.

    Every mistake found is in ``problems``, so that an operator repairs a file once and not once per
    attempt. Neither part ever holds a secret.

    Attributes:
        message: what failed as a whole, for example ``Invalid configuration``.
        problems: one sentence per mistake.
    """

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message, tuple(problems))
        self.message = message
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return f"{self.message}: {'; '.join(self.problems)}" if self.problems else self.message
