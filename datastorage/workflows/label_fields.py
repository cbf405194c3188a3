"""Fields that hold labels: objects and lists with limits, whose faults name the item at fault."""

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from marshmallow import ValidationError, post_load

from datastorage.errors import Fault
from datastorage.platform.web.accept import QuickContract
from datastorage.platform.web.characters import IDENTIFIER, fault_of_identifier
from datastorage.platform.web.fields import Boolean, Judged, refuse
from datastorage.platform.web.nested import Nested
from datastorage.workflows.fields import Exact, Listed
from datastorage.workflows.labels import (
    DETECTED,
    DETECTIONS,
    FAILED_DETECTIONS,
    MEANINGS,
    PRIORITIES,
    SEVERITIES,
    WILDCARD,
    CustomLabels,
    DetectedLabels,
    MandatoryLabels,
    normalised,
)

MAX_SUBDOMAINS = 10
MAX_VALUES = 5
MAX_VALUE_LENGTH = 100

_SUBDOMAIN = re.compile(r"[A-Za-z0-9._-]{1,63}", re.ASCII)


class Custom(Judged):
    """Custom labels: subdomain to list of values, within limits on both."""

    def judge(self, value: Any) -> CustomLabels:
        """Refuse other types, too many of anything, and text that is no label."""
        if not isinstance(value, dict):
            raise refuse("must be a JSON object")
        if len(value) > MAX_SUBDOMAINS:
            raise refuse(f"must have at most {MAX_SUBDOMAINS} subdomains", "too_large")
        judged = {subdomain: _subdomain_faults(subdomain, values) for subdomain, values in value.items()}
        faults = {subdomain: fault for subdomain, fault in judged.items() if fault}
        if faults:
            raise ValidationError(faults)
        return value

    def openapi(self) -> dict[str, Any]:
        """The limits."""
        text = {"type": "string", "minLength": 1, "maxLength": MAX_VALUE_LENGTH}
        text["pattern"] = IDENTIFIER.pattern
        return {
            "type": "object",
            "maxProperties": MAX_SUBDOMAINS,
            "propertyNames": {"pattern": f"^{_SUBDOMAIN.pattern}$"},
            "additionalProperties": {"type": "array", "maxItems": MAX_VALUES, "items": text},
        }


def _subdomain_faults(subdomain: str, values: Any) -> list[Fault] | dict[int, list[Fault]]:
    """Return the fault of a subdomain, or those of its values by position."""
    if not _SUBDOMAIN.fullmatch(subdomain):
        return [Fault("a subdomain must be 1 to 63 letters, digits, dots, dashes or underscores")]
    if not isinstance(values, list):
        return [Fault("must be a list of strings")]
    if len(values) > MAX_VALUES:
        return [Fault(f"must have at most {MAX_VALUES} values", "too_large")]
    faults = ((index, _value_fault(value)) for index, value in enumerate(values))
    return {index: [fault] for index, fault in faults if fault}


def _value_fault(value: Any) -> Fault | None:
    if not isinstance(value, str):
        return Fault("must be a string")
    if not value:
        return Fault("must not be empty", "required")
    if len(value) > MAX_VALUE_LENGTH:
        return Fault(f"must be at most {MAX_VALUE_LENGTH} characters (got {len(value)})", "length_exceeded")
    return fault_of_identifier(value)


class ListOf(Judged):
    """A list whose items are of a closed list."""

    def __init__(self, choices: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.item = Listed(choices, required=True)

    def judge(self, value: Any) -> list[str]:
        """Refuse other types, and every item that is not in the list."""
        if not isinstance(value, list):
            raise refuse("must be a list of strings")
        faults = {}
        for index, item in enumerate(value):
            try:
                self.item.deserialize(item)
            except ValidationError as error:
                faults[index] = error.messages
        if faults:
            raise ValidationError(faults)
        return value

    def openapi(self) -> dict[str, Any]:
        """A list of the choices."""
        return {"type": "array", "items": self.item.openapi()}


class MandatoryLabelsSchema(QuickContract):
    """The five labels of a workflow; ``*`` is "any" where it is allowed."""

    resource = "workflow"
    glossary = MEANINGS

    signal_type = Exact(required=True, maximum=255, not_wildcard=True)
    severity = Listed(SEVERITIES, required=True)
    component = Exact(required=True, maximum=255)
    environment = Exact(required=True, maximum=255)
    priority = Listed((*PRIORITIES, WILDCARD), required=True)

    @post_load
    def make_labels(self, data: dict[str, Any], **_: Any) -> MandatoryLabels:
        """Return the labels."""
        return MandatoryLabels(**data)


class DetectedLabelsSchema(QuickContract):
    """What a workload was found to be, or a workflow supports."""

    resource = "workflow"

    class Meta(QuickContract.Meta):
        """One field for each label, and what could not be looked at."""

        include: ClassVar[dict[str, Judged]] = {
            label.key: Listed((*label.choices, WILDCARD), also=("",)) if label.choices else Boolean()
            for label in DETECTED.values()
        } | {FAILED_DETECTIONS: ListOf(DETECTIONS)}


class Detected(Nested):
    """Detected labels, normalised: only what says something is kept."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(DetectedLabelsSchema(), **kwargs)

    def judge(self, value: Any) -> DetectedLabels:
        """Refuse wrong types and values; drop what is false, empty or unknown."""
        return normalised(super().judge(value))
