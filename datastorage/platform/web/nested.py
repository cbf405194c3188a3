"""An object within a body: a field with a contract of its own."""

from typing import Any

from marshmallow import ValidationError

from datastorage.platform.web.contract import Contract, Faults
from datastorage.platform.web.fields import Judged, refuse


class Nested(Judged):
    """A JSON object with a contract of its own; its faults appear under dotted paths."""

    def __init__(self, contract: Contract, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.contract = contract

    def judge(self, value: Any) -> Any:
        """Refuse other types and whatever the contract refuses."""
        if not isinstance(value, dict):
            raise refuse("must be a JSON object")
        loaded = self.contract.faults_or_loaded(value)
        if isinstance(loaded, Faults):
            raise ValidationError({name: [fault] for name, fault in loaded.items()})
        return loaded

    def openapi(self) -> dict[str, Any]:
        """The fields of the contract."""
        fields: dict[str, Any] = dict(self.contract.fields)
        return {
            "type": "object",
            "properties": {name: _or_null(field) | self._meaning(name) for name, field in fields.items()},
            "required": [name for name, field in fields.items() if field.required],
        }

    def _meaning(self, name: str) -> dict[str, str]:
        meaning = self.contract.glossary.get(name)
        return {"description": meaning} if meaning else {}


def _or_null(field: Any) -> dict[str, Any]:
    schema: dict[str, Any] = field.openapi()
    return schema if field.required else {"anyOf": [schema, {"type": "null"}]}
