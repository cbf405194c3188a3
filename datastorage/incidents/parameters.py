"""Query parameters of incident reads: declared once, judged in order, described for the API document.

An empty parameter counts as absent and of repeated ones the first counts. The first fault, in the order
of declaration, chooses slug and sentence of the problem; its ``field_errors`` name all of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from datastorage.errors import Fault, InvalidInput
from datastorage.incidents.grammar import Judge, any_text
from datastorage.platform.web.fields import WITHOUT_NUL
from datastorage.platform.web.literals import shown

INVALID = "invalid-parameter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One query parameter.

    Attributes:
        judge: returns the value that a text stands for, or a ``Fault``.
        schema: the JSON Schema of the text.
        meaning: one sentence for the API document.
        slug: the problem that a fault of it is.
        missing: the fault when it is not sent; ``None`` when it may be left out.
        default: the value when it is not sent.
    """

    name: str
    meaning: str
    judge: Judge = any_text
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string", "pattern": WITHOUT_NUL})
    slug: str = INVALID
    missing: Fault | None = None
    missing_slug: str = "validation-error"
    default: Any = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def required(self) -> bool:
        """Whether it has to be sent."""
        return self.missing is not None

    def openapi(self) -> dict[str, Any]:
        """Return the JSON Schema of the text."""
        return {**self.schema, "minLength": 1} if self.required else dict(self.schema)

    def read(self, sent: Mapping[str, str]) -> Any:
        """Return its value in ``sent``, its default, or a ``Fault``."""
        text = sent.get(self.name, "")
        if text == "":
            return self.missing or self.default
        return self.judge(text)


@dataclass(slots=True)
class Judged:
    """What a request's parameters came to: values by name, and the faults of those that have none."""

    sent: Mapping[str, str]
    values: dict[str, Any] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)

    def refuse(self, name: str, fault: Fault) -> None:
        """Add a fault that shows only when parameters are seen together; a parameter's first fault stays."""
        self.faults.setdefault(name, fault)


def judge(declared: Sequence[Parameter], sent: Mapping[str, str]) -> Judged:
    """Judge each declared parameter by itself."""
    judged = Judged(sent)
    for parameter in declared:
        value = parameter.read(sent)
        if isinstance(value, Fault):
            judged.faults[parameter.name] = value
        else:
            judged.values[parameter.name] = value
    return judged


def refuse_unknown(declared: Sequence[Parameter], judged: Judged) -> None:
    """Refuse names that nobody declared: what ``Prefer: handling=strict`` asks for."""
    names = {parameter.name for parameter in declared}
    for name in judged.sent:
        if name not in names:
            judged.refuse(shown(name), Fault("is not a parameter of this request"))


def raise_first(declared: Sequence[Parameter], judged: Judged, *, title: str | None = None) -> None:
    """Raise the problem of the first fault in the order of declaration, if there is any.

    Raises:
        InvalidInput: with the slug of that parameter, naming all faults.
    """
    known = {parameter.name: parameter for parameter in declared}
    order = [name for name in known if name in judged.faults]
    order += [name for name in judged.faults if name not in known]
    if not order:
        return
    first = order[0]
    raise InvalidInput(
        _sentence(first, judged),
        {name: judged.faults[name] for name in order},
        slug=_slug(known.get(first), judged.sent.get(first, "")),
        title=title,
    )


def _slug(parameter: Parameter | None, text: str) -> str:
    if parameter is None:
        return INVALID
    return parameter.slug if text else parameter.missing_slug


def _sentence(name: str, judged: Judged) -> str:
    sentence = f"{name} {judged.faults[name]}"
    text = judged.sent.get(name, "")
    return f"{sentence}; received '{shown(text)}'" if text else sentence
