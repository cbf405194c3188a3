"""The contract of a body: what a schema accepts, and every fault of what it does not.

``Contract`` reads one object, ``ArrayContract`` an array; both raise ``InvalidInput`` with all faults.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from types import GenericAlias
from typing import Any, ClassVar, cast

import marshmallow
import msgspec

from datastorage.errors import BatchSizeExceeded, Fault, InvalidInput
from datastorage.platform.web.bodies import OTHERS, BodyDecoder, members
from datastorage.platform.web.documents import JsonObject

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
    also_read: ClassVar[Collection[str]] = ()
    """Members that ``read`` looks at beside the fields."""
    exactly: ClassVar[bool] = False
    """Whether fractions stay the decimals that were written."""
    beside_it: ClassVar[str] = "ignored beside it"
    """What an older name is beside the current one, for the API document."""
    rules: ClassVar[Sequence[dict[str, Any]]] = ()
    """JSON Schemas about members together, for the API document."""

    class Meta:
        """Unknown members are ignored: existing clients send some."""

        unknown = marshmallow.EXCLUDE

    @property
    def field_names(self) -> frozenset[str]:
        """The names of the fields, those of nested objects as dotted paths."""
        nested = {
            f"{name}.{inner}"
            for name, field in self.fields.items()
            if isinstance(contract := getattr(field, "contract", None), Contract)
            for inner in contract.field_names
        }
        return frozenset({*self.fields, *nested})

    def read(self, data: Any) -> Any:
        """Return what ``post_load`` makes of ``data``.

        Raises:
            InvalidInput: ``data`` is no object, or fields of it are at fault.
        """
        if not isinstance(data, dict):
            raise self.refusal(Faults({"body": self.not_an_object()}))
        faults = self.faults_or_loaded(self.opened(data, self.resource))
        if isinstance(faults, Faults):
            raise self.refusal(faults)
        return faults

    def opened(self, data: dict[str, Any], resource: str) -> dict[str, Any]:
        """Decode the documents of an object, which those of a large body are when it is their turn.

        Raises:
            InvalidInput: one of them has a number out of range.
        """
        for name, field in self._documents:
            sent = data.get(name)
            if isinstance(sent, msgspec.Raw):
                data[name] = field.opened(bytes(sent), resource)
        return data

    @cached_property
    def _documents(self) -> Sequence[tuple[str, JsonObject]]:
        return [(name, field) for name, field in self.load_fields.items() if isinstance(field, JsonObject)]

    def known(self, document: Any) -> Any:
        """Return the type that the decoder makes of an object: what no field or alias names is skipped.

        Args:
            document: the type of documents.
        """
        types = {name: _type_of(field, document) for name, field in self.load_fields.items()}
        named = {alias: types[name] for alias, name in self.aliases.items()}
        return members(types | named | dict.fromkeys(self.also_read, Any))

    @cached_property
    def _decoder(self) -> BodyDecoder:
        return BodyDecoder(self.known, b"{", exactly=self.exactly)

    def decode(self, body: bytes) -> Any:
        """Return the known members of a request body.

        Raises:
            InvalidInput: it is no JSON.
        """
        return self._decoder.decode(body, self.resource)

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


def _type_of(field: Any, document: Any) -> Any:
    """Return the type of a member: of an object with a contract of its own the known members."""
    if isinstance(field, JsonObject):
        return document
    contract = getattr(field, "contract", None)
    return contract.known(document) | OTHERS if isinstance(contract, Contract) else Any


def _faults_at(path: str, messages: Any) -> Iterator[tuple[str, Fault]]:
    """Yield the fault of a field, or those of what is nested in it: ``labels.severity``, ``list[2]``."""
    if isinstance(messages, dict):
        for name, inner in messages.items():
            yield from _faults_at(f"{path}[{name}]" if isinstance(name, int) else f"{path}.{name}", inner)
    else:
        first = messages[0]
        yield path, first if isinstance(first, Fault) else Fault(first)


class _Empty(msgspec.Struct, gc=False):
    """An object without its members."""


_COUNTER = BodyDecoder(lambda _document: list[_Empty], b"[")


class ArrayContract:
    """A JSON array of ``item`` objects: all of them are judged before any of them counts."""

    item_name = "event"
    """What problems call an item."""

    def __init__(self, item: Contract, *, resource: str, maximum: int) -> None:
        self.item = item
        self.resource = resource
        self.maximum = maximum
        self._decoder = BodyDecoder(self._known, b"[", exactly=item.exactly)

    @property
    def field_names(self) -> frozenset[str]:
        """The names of the fields of an item."""
        return self.item.field_names

    def _known(self, document: Any) -> Any:
        known = self.item.known(document)
        return GenericAlias(list, known if known is Any else known | OTHERS)

    def decode(self, body: bytes) -> Any:
        """Return the items of a request body with their known members.

        Raises:
            InvalidInput: it is no JSON.
        """
        return self._too_many(body) or self._decoder.decode(body, self.resource)

    def _too_many(self, body: bytes) -> list[Any] | None:
        """Return the items without their members where there are too many: only their number counts."""
        if body.count(b"{") <= self.maximum:
            return None
        try:
            items: list[Any] | None = _COUNTER.decode(body, self.resource)
        except InvalidInput:
            return None  # what is wrong, the ordinary way says
        return items if items and len(items) > self.maximum else None

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
        judged = self.item.faults_or_loaded(self.item.opened(raw, self.resource))
        if isinstance(judged, Faults):
            room = MAX_REPORTED_FAULTS - len(faults)
            faults.update({f"[{index}].{name}": fault for name, fault in list(judged.items())[:room]})
            return None
        return judged
