"""What the parameters of all incident reads have in common: their grammars, and how a refusal is worded."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from datastorage.errors import InvalidInput
from datastorage.platform.web.grammar import Grammar, integer, one_of, worded
from datastorage.platform.web.literals import shown
from datastorage.platform.web.parameters import Parameter, ParameterReader, Reading, Rule

T = TypeVar("T")

INVALID = "invalid-parameter"


class IncidentReader(ParameterReader[T]):
    """A reader whose first fault, in the order of declaration, chooses slug and sentence of the problem.

    ``field_errors`` name all of them. With ``Prefer: handling=strict`` unknown names are refused.
    """

    title: ClassVar[str | None] = None
    """Of its problems, instead of that of the slug."""

    def __init__(
        self, *parameters: Parameter, make: Callable[[Reading], T], rules: Sequence[Rule] = ()
    ) -> None:
        super().__init__(
            *parameters,
            make=make,
            rules=rules,
            refuse=self._first_fault,
            encoding_slug=INVALID,
            can_be_strict=True,
        )

    def _first_fault(self, _: ParameterReader[Any], reading: Reading) -> InvalidInput:
        name, fault = next(iter(reading.faults.items()))
        parameter, text = self.declared(name), reading.text(name)
        slug = INVALID
        if parameter is not None:
            slug = parameter.slug if text else parameter.missing_slug
        detail = f"{name} {fault}; received '{shown(text)}'" if text else f"{name} {fault}"
        return InvalidInput(detail, reading.faults, slug=slug, title=self.title)


def number(minimum: int, maximum: int) -> Grammar:
    """Accept an integer in a range."""
    return worded(integer(minimum, maximum), f"must be an integer from {minimum} to {maximum}")


def choice(choices: Sequence[str]) -> Grammar:
    """Accept the members of a closed list."""
    return worded(one_of(choices), f"must be one of: {', '.join(choices)}")
