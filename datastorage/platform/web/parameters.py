"""Query parameters: declared once, judged, described for the API document, turned into conditions.

    class OrdersQuery(ParameterReader[OrderFilter]):
        def __init__(self, clock: Clock) -> None:
            super().__init__(
                Parameter("customer", "Who ordered.", finds=equal_to(orders.c.customer)),
                Parameter("least", "Price.", integer(0, 999), finds=(Find(orders.c.price, AT_LEAST),)),
                Parameter("limit", "Rows of a page.", integer(1, 100), default=20),
                make=lambda reading: OrderFilter(reading.filter, reading.values["limit"]),
            )

A further filter is one more ``Parameter``. Only the parameters that were sent are judged; the conditions
of a reading come in the order of declaration, whatever the order in the request, so that filters of one
kind have one shape. An empty text counts as absent, and of a repeated parameter the first text counts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import ColumnElement

from datastorage.errors import Fault, InvalidInput
from datastorage.platform.db.conditions import EQUALS, Condition, Operator
from datastorage.platform.web.grammar import ANY_TEXT, Grammar
from datastorage.platform.web.literals import shown
from datastorage.platform.web.sent import Sent

T = TypeVar("T")

INVALID = "validation-error"


class Find(NamedTuple):
    """One condition that a parameter makes of its value.

    Attributes:
        column: what is compared.
        operator: how.
        key: name of the bound value; that of the parameter when empty.
        of: what the column is compared with, if it is not the value itself.
    """

    column: ColumnElement[Any]
    operator: Operator
    key: str = ""
    of: Callable[[Any], Any] | None = None


def equal_to(column: ColumnElement[Any]) -> tuple[Find, ...]:
    """Find the rows that have the value in ``column``."""
    return (Find(column, EQUALS),)


@dataclass(frozen=True, slots=True, eq=False)
class Parameter:
    """One query parameter.

    Attributes:
        meaning: one sentence for the API document.
        grammar: which texts it takes, and what they mean.
        finds: the conditions that its value makes.
        default: the value when it is not sent; shown in the API document if it is a number or a text.
        aliases: older names; the current name wins.
        missing: the fault when it is not sent; ``None`` when it may be left out.
        slug: the problem that a bad text is; ``missing_slug`` that it is missing.
        empty_is_absent: whether the empty text means "not sent"; else the grammar judges it.
    """

    name: str
    meaning: str
    grammar: Grammar = ANY_TEXT
    finds: tuple[Find, ...] = field(default=(), kw_only=True)
    default: Any = field(default=None, kw_only=True)
    aliases: tuple[str, ...] = field(default=(), kw_only=True)
    missing: Fault | None = field(default=None, kw_only=True)
    slug: str = field(default=INVALID, kw_only=True)
    missing_slug: str = field(default=INVALID, kw_only=True)
    empty_is_absent: bool = field(default=True, kw_only=True)

    @property
    def required(self) -> bool:
        """Whether it has to be sent."""
        return self.missing is not None

    def openapi(self) -> dict[str, Any]:
        """Return the JSON Schema of the texts that are values."""
        schema = dict(self.grammar.schema)
        if isinstance(self.default, int | str):
            schema["default"] = self.default
        return {**schema, "minLength": 1} if self.required else schema

    def conditions(self, value: Any) -> list[Condition]:
        """Return the conditions that ``value`` makes."""
        return [
            Condition(find.key or self.name, find.column, find.operator, find.of(value) if find.of else value)
            for find in self.finds
        ]


@dataclass(slots=True)
class Reading:
    """What the parameters of one request came to.

    Attributes:
        sent: the request.
        values: by name, the value of each parameter or its default; none for what is at fault.
        conditions: what all of them ask for; a rule may add to them.
        faults: by name; in the order of declaration once all is judged.
    """

    sent: Sent
    values: dict[str, Any]
    conditions: list[Condition]
    faults: dict[str, Fault]

    @property
    def filter(self) -> tuple[Condition, ...]:
        """The conditions, to keep."""
        return tuple(self.conditions)

    def text(self, name: str) -> str:
        """Return the text of a parameter as it was sent under this name, empty when it was not."""
        return self.sent.texts.get(name, "")

    def refuse(self, name: str, fault: Fault) -> None:
        """Add a fault that shows only when parameters are seen together; a parameter's first fault stays."""
        self.faults.setdefault(name, fault)


Rule = Callable[[Reading], None]
"""Looks at several parameters together: adds faults, values or conditions."""
Refusal = Callable[["ParameterReader[Any]", Reading], InvalidInput]
"""Words the error of a reading with faults."""


def every_fault(reader: "ParameterReader[Any]", reading: Reading) -> InvalidInput:
    """Name every fault in one sentence."""
    return InvalidInput.of(reader.resource, reading.faults)


class ParameterReader(Generic[T]):
    """Reads the parameters of one operation.

    Args:
        parameters: in the order in which faults are reported and the API document lists them.
        make: from a reading without faults to the model object.
        rules: run after each parameter was judged by itself, in this order.
        refuse: words the error.
        resource: what the parameters ask for, named in problems.
        encoding_slug: the problem that a broken percent-encoding is.
        can_be_strict: whether unknown names are refused for ``Prefer: handling=strict``.

    Raises:
        ValueError: two parameters share a name, or the key of a condition.
    """

    def __init__(  # noqa: PLR0913 - what may differ between operations, and nothing else
        self,
        *parameters: Parameter,
        make: Callable[[Reading], T],
        rules: Sequence[Rule] = (),
        refuse: Refusal = every_fault,
        resource: str = "query parameters",
        encoding_slug: str = INVALID,
        can_be_strict: bool = False,
    ) -> None:
        self.parameters = parameters
        self.resource = resource
        self.encoding_slug = encoding_slug
        self._make = make
        self._rules = tuple(rules)
        self._refuse = refuse
        self._can_be_strict = can_be_strict
        self._places = _places_of(parameters)
        self._defaults = {parameter.name: parameter.default for parameter in parameters}
        self._required = frozenset(self._places[each.name] for each in parameters if each.required)
        _require_unique([find.key or each.name for each in parameters for find in each.finds])

    def read(self, sent: Sent) -> T:
        """Return what ``make`` makes of the values.

        Raises:
            InvalidInput: naming the parameters at fault.
        """
        reading = self._judged(sent)
        for rule in self._rules:
            rule(reading)
        if self._can_be_strict and sent.prefers_strict:
            self._refuse_unknown(reading)
        if reading.faults:
            raise self._refuse(self, self._in_order(reading))
        return self._make(reading)

    @property
    def field_names(self) -> frozenset[str]:
        """The current names of the parameters."""
        return frozenset(each.name for each in self.parameters)

    def declared(self, name: str) -> Parameter | None:
        """Return the parameter of this name, or ``None``: faults may be about others."""
        place = self._places.get(name)
        return None if place is None else self.parameters[place]

    def _judged(self, sent: Sent) -> Reading:
        reading = Reading(sent, self._defaults.copy(), [], {})
        texts, places = sent.texts, self._places
        for place in sorted({places[name] for name in texts if name in places} | self._required):
            parameter = self.parameters[place]
            _judge(parameter, _text_of(parameter, texts), reading)
        return reading

    def _refuse_unknown(self, reading: Reading) -> None:
        for name in reading.sent.texts:
            if name not in self._places:
                reading.refuse(shown(name), Fault("is not a parameter of this request"))

    def _in_order(self, reading: Reading) -> Reading:
        """Sort the faults as the parameters were declared, those about other names at the end."""
        known = [each.name for each in self.parameters if each.name in reading.faults]
        reading.faults = {name: reading.faults[name] for name in dict.fromkeys([*known, *reading.faults])}
        return reading


def _places_of(parameters: Sequence[Parameter]) -> dict[str, int]:
    """Return the place of each name, older ones too, in the order of declaration."""
    named = [(name, at) for at, each in enumerate(parameters) for name in (each.name, *each.aliases)]
    _require_unique([name for name, _ in named])
    return dict(named)


def _require_unique(names: Sequence[str]) -> None:
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise ValueError(f"declared twice: {', '.join(sorted(repeated))}")


def _text_of(parameter: Parameter, texts: Mapping[str, str]) -> str | None:
    """Return the text that counts: under the current name if it says something, else under an older one."""
    text = texts.get(parameter.name)
    if text or (text is not None and not parameter.empty_is_absent):
        return text
    return next(filter(None, map(texts.get, parameter.aliases)), None)


def _judge(parameter: Parameter, text: str | None, reading: Reading) -> None:
    value = parameter.missing if text is None else parameter.grammar.judge(text)
    if isinstance(value, Fault):
        reading.faults[parameter.name] = value
        del reading.values[parameter.name]
    elif text is not None:
        reading.values[parameter.name] = value
        if parameter.finds:
            reading.conditions += parameter.conditions(value)
