"""The contract of a body: what a schema accepts, and every fault of what it does not.

``Contract`` reads one object, ``ArrayContract`` an array; both raise ``InvalidInput`` with all faults.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, cast

import marshmallow

from datastorage.errors import BatchSizeExceeded, Fault, InvalidInput
from datastorage.platform.web import json

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

    @property
    def field_names(self) -> frozenset[str]:
        """The names of the fields of an item."""
        return self.item.field_names

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
