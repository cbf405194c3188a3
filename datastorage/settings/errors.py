"""The one error of configuration, and the refusal of a single value."""

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
        if not self.problems:
            return self.message
        return f"{self.message}: {'; '.join(self.problems)}"


class Refused(ValueError):
    """A parser's answer to a value it cannot take; the text reads on from the name of the key."""
