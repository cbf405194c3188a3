"""What loading has found so far, so that everything is reported at once."""

from dataclasses import dataclass, field
from typing import Any

from datastorage.settings.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Given:
    """A raw value and the environment variable it came from; a value of the file has none."""

    value: Any
    variable: str | None = None

    @property
    def source(self) -> str:
        """What to add to a problem so that it is looked for in the right place."""
        return f" (from {self.variable})" if self.variable else ""


@dataclass(slots=True)
class Findings:
    """Lists that only grow; ``raise_if_any`` turns them into the one error.

    Attributes:
        missing: settings that have no default and that nobody set.
        missing_secrets: the same for passwords and where to find them.
        secrets: a secret is configured and cannot be had.
        invalid: values that were refused, and names nobody knows.
    """

    warnings: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    missing_secrets: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)

    def raise_if_any(self, *, has_file: bool, hint: str) -> None:
        """Report every problem; without a file, say first that there is none.

        Raises:
            SettingsError: there is at least one problem.
        """
        problems = (*self.missing_secrets, *self.secrets, *self.missing, *self.invalid)
        if not has_file and (self.missing or self.missing_secrets):
            raise SettingsError("CONFIG_PATH environment variable required", (hint, *problems))
        if problems:
            raise SettingsError(self._message(), problems)

    def _message(self) -> str:
        no_secrets = self.missing_secrets or self.secrets
        no_values = self.missing or self.invalid
        return "; ".join(
            title
            for title, applies in (
                ("Failed to load secrets", no_secrets),
                ("Invalid configuration", no_values),
            )
            if applies
        )
