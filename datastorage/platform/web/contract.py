"""The contract above a view: what it accepts, what it returns, and so what the API document says.

``accepts``, ``accepts_query`` and ``accepts_path`` hand the view a value that a schema has already
judged, or raise ``InvalidInput`` with every fault. ``returns`` knows status and body of each outcome
type, so a view has no ``if``. Both leave a ``ViewContract`` on the view for ``openapi``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

import marshmallow
from flask import Response

from datastorage.errors import BatchSizeExceeded, Fault, InvalidInput
from datastorage.platform.web import json
from datastorage.platform.web.current import current
from datastorage.platform.web.links import Link
from datastorage.platform.web.requests import add_to_log, read_json_body, read_sent

if TYPE_CHECKING:
    from datastorage.platform.web.readers import BodyReader, Reader

View = Callable[..., Any]
V = TypeVar("V", bound=View)

MAX_REPORTED_FAULTS = 100
"""A batch of a thousand bad items answers with the first hundred faults."""


class Contract(marshmallow.Schema):
    """A marshmallow schema that raises our error: all faults, in the order its fields are declared."""

    resource: ClassVar[str]
    aliases: ClassVar[Mapping[str, str]] = {}
    """Older names of fields, for the API document; ``pre_load`` is what honours them."""
    glossary: ClassVar[Mapping[str, str]] = {}
    """What each field means, for the API document."""
    example: ClassVar[dict[str, Any] | None] = None
    beside_it: ClassVar[str] = "ignored beside it"
    """What an older name is beside the current one, for the API document."""
    rules: ClassVar[Sequence[dict[str, Any]]] = ()
    """JSON Schemas about members together, for the API document."""

    class Meta:
        """Unknown members are ignored: existing clients send some."""

        unknown = marshmallow.EXCLUDE

    def read(self, data: Any) -> Any:
        """Return what ``post_load`` makes of ``data``.

        Raises:
            InvalidInput: ``data`` is no object, or fields of it are at fault.
        """
        if not isinstance(data, dict):
            raise self.refusal(Faults({"body": self.not_an_object()}))
        faults = self.faults_or_loaded(data)
        if isinstance(faults, Faults):
            raise self.refusal(faults)
        return faults

    def decode(self, body: bytes) -> Any:
        """Return the JSON value of a request body.

        Raises:
            InvalidInput: it is none.
        """
        return json.decode(body, self.resource)

    def refusal(self, faults: "Faults") -> InvalidInput:
        """Return the error that names ``faults``."""
        return InvalidInput.of(self.resource, faults)

    def not_an_object(self) -> Fault:
        """Return the sentence for a body of another JSON type."""
        return Fault("request body must be a JSON object")

    def faults_or_loaded(self, data: dict[str, Any]) -> Any:
        """Return the loaded value, or ``Faults`` by field in the order of declaration."""
        try:
            return self.load(data)
        except marshmallow.ValidationError as error:
            messages = cast("dict[str, Any]", error.messages)
            position = {name: index for index, name in enumerate(self.fields)}
            ordered = sorted(messages, key=lambda name: position.get(name, len(position)))
            return Faults(fault for name in ordered for fault in _faults_at(name, messages[name]))


class Faults(dict[str, Fault]):
    """Field errors of one object; a type of its own so that a loaded dict is never taken for them."""


def _faults_at(path: str, messages: Any) -> Iterator[tuple[str, Fault]]:
    """Yield the fault of a field, or those of what is nested in it: ``labels.severity``, ``list[2]``."""
    if isinstance(messages, dict):
        for name, inner in messages.items():
            yield from _faults_at(f"{path}[{name}]" if isinstance(name, int) else f"{path}.{name}", inner)
    else:
        first = messages[0]
        yield path, first if isinstance(first, Fault) else Fault(first)


class ArrayContract:
    """A JSON array of ``item`` objects: all of them are judged before any of them counts."""

    item_name = "event"
    """What problems call an item."""

    def __init__(self, item: Contract, *, resource: str, maximum: int) -> None:
        self.item = item
        self.resource = resource
        self.maximum = maximum

    def decode(self, body: bytes) -> Any:
        """Return the JSON value of a request body.

        Raises:
            InvalidInput: it is none.
        """
        return json.decode(body, self.resource)

    def read(self, data: Any) -> list[Any]:
        """Return the model objects in request order.

        Raises:
            BatchSizeExceeded: more than ``maximum`` items; they are not looked at.
            InvalidInput: not an array, empty, or any item at fault.
        """
        self._check_shape(data)
        loaded: list[Any] = []
        faults: dict[str, Fault] = {}
        for index, raw in enumerate(data):
            judged = self._judge(raw, index, faults)
            if judged is not None:
                loaded.append(judged)
            if len(faults) >= MAX_REPORTED_FAULTS:
                break
        if faults:
            raise InvalidInput.of_items(self.resource, faults, item=self.item_name)
        return loaded

    def _check_shape(self, data: Any) -> None:
        if not isinstance(data, list):
            raise self._body_fault(Fault("request body must be a JSON array", "not_array"))
        if not data:
            raise self._body_fault(Fault("batch cannot be empty", "empty_batch"))
        if len(data) > self.maximum:
            fault = Fault(
                f"batch must have at most {self.maximum} items (got {len(data)})", "batch_too_large"
            )
            raise BatchSizeExceeded(f"{fault}", {"body": fault}, resource=self.resource)

    def _body_fault(self, fault: Fault) -> InvalidInput:
        return InvalidInput.of(self.resource, {"body": fault})

    def _judge(self, raw: Any, index: int, faults: dict[str, Fault]) -> Any:
        if not isinstance(raw, dict):
            faults[f"[{index}]"] = Fault("must be a JSON object")
            return None
        judged = self.item.faults_or_loaded(raw)
        if isinstance(judged, Faults):
            room = MAX_REPORTED_FAULTS - len(faults)
            faults.update({f"[{index}].{name}": fault for name, fault in list(judged.items())[:room]})
            return None
        return judged


@dataclass(frozen=True, slots=True)
class Answer:
    """How one type of outcome is sent: status, media type, and the schema that documents the body.

    ``announces`` names the headers that ``headers`` may add; ``links`` are for the API document too.
    ``log`` says what the line about the request shall tell of the outcome.
    """

    outcome: type
    status: int
    schema: marshmallow.Schema | type[marshmallow.Schema]
    description: str
    media_type: str = "application/json"
    body: Callable[[Any], Any] | None = None
    headers: Callable[[Any], dict[str, str]] | None = None
    announces: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    log: Callable[[Any], Mapping[str, object]] | None = None
    stream: bool = False

    def respond(self, outcome: Any) -> Response:
        """Return the response for ``outcome``."""
        if self.log is not None:
            add_to_log(self.log(outcome))
        content = outcome if self.body is None else self.body(outcome)
        payload: Any = content if self.stream else json.encode(content)
        headers = self.headers(outcome) if self.headers else {}
        return Response(payload, status=self.status, headers=headers, content_type=self.media_type)


@dataclass(slots=True)
class ViewContract:
    """What ``openapi`` reads off a view."""

    body: type | None = None
    query: type | None = None
    path: type | None = None
    answers: tuple[Answer, ...] = ()
    problems: tuple[str, ...] = ()
    deprecated: bool = False
    failure: str | None = None


def contract_of(view: View) -> ViewContract:
    """Return the contract of ``view``, empty when it has none yet."""
    found: ViewContract = getattr(view, "contract", None) or ViewContract()
    return found


def accepts(reader: type) -> Callable[[V], V]:
    """Hand the view, as its last argument, what the ``reader`` of this application makes of the JSON body."""

    def decorate(view: V) -> V:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            chosen = cast("BodyReader", current(reader))
            body = read_json_body(chosen.resource)
            return view(*args, chosen.read(chosen.decode(body)), **kwargs)

        return cast("V", _remember(checked, view, body=reader))

    return decorate


def accepts_query(reader: type) -> Callable[[V], V]:
    """Hand the view what ``reader`` makes of the query parameters; of repeated ones the first counts."""

    def decorate(view: V) -> V:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            chosen = cast("Reader", current(reader))
            slug = getattr(chosen, "encoding_slug", "validation-error")
            return view(*args, chosen.read(read_sent(chosen.resource, slug=slug)), **kwargs)

        return cast("V", _remember(checked, view, query=reader))

    return decorate


def accepts_path(reader: type) -> Callable[[V], V]:
    """Hand the view what ``reader`` makes of the variables of the path."""

    def decorate(view: V) -> V:
        @wraps(view)
        def checked(**variables: str) -> Any:
            return view(cast("Reader", current(reader)).read(variables))

        return cast("V", _remember(checked, view, path=reader))

    return decorate


def returns(
    *answers: Answer, problems: Iterable[str] = (), failure: str | None = None
) -> Callable[[V], View]:
    """Send each type of outcome by its ``Answer``.

    Args:
        answers: one per type of outcome.
        problems: slugs that the API document adds.
        failure: what a 500 of this view says instead of the general sentence.
    """
    by_type = {answer.outcome: answer for answer in answers}

    def decorate(view: V) -> View:
        @wraps(view)
        def answered(*args: Any, **kwargs: Any) -> Response:
            outcome = view(*args, **kwargs)
            return by_type[type(outcome)].respond(outcome)

        return cast(
            "View", _remember(answered, view, answers=answers, problems=tuple(problems), failure=failure)
        )

    return decorate


def deprecated(view: V) -> V:
    """Mark an operation in the API document as one that has a successor."""
    contract_of(view).deprecated = True
    return view


def _remember(wrapper: View, view: View, **parts: Any) -> Any:
    """Give ``wrapper`` the contract of the ``view`` inside, with what this decorator knows."""
    contract = contract_of(view)
    for name, value in parts.items():
        setattr(contract, name, value)
    wrapper.contract = contract  # type: ignore[attr-defined]
    return wrapper
