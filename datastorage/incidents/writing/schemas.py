"""From the bytes of a request to a ``NewIncident`` or an ``Outcome``; unknown members are refused."""

from collections.abc import Mapping
from typing import Any

import marshmallow
from marshmallow import ValidationError, post_load, validates_schema

from datastorage.errors import Fault, InvalidInput
from datastorage.incidents.fields import IS_REQUIRED, ActionInstant, Exact
from datastorage.incidents.representations import FULL
from datastorage.incidents.trace import MEMBERS, NEW_MEMBERS, OUTCOME_MEMBERS, SIGNAL_NAME_CHARACTERS, Trace
from datastorage.incidents.writing import examples
from datastorage.incidents.writing.lifecycle import with_duration
from datastorage.incidents.writing.model import NewIncident, Outcome, Resource, cluster_in_key
from datastorage.incidents.writing.names import UnknownNames
from datastorage.platform.clock import Clock
from datastorage.platform.records import Normaliser, aliases_of, judges_of, meanings_of
from datastorage.platform.web.contract import ArrayContract, Contract, Faults
from datastorage.platform.web.fields import field_of
from datastorage.platform.web.literals import shown
from datastorage.platform.web.sizes import check_documents

MAX_BATCH_ITEMS = 1000

UNKNOWN = Fault("is not a member of this request")
IMMUTABLE = Fault("cannot be changed")
NOT_EQUAL = "must be equal to {}, of which it is another name"

OUTCOME_ALIASES = aliases_of(OUTCOME_MEMBERS)
ALIASES = aliases_of(NEW_MEMBERS)

DOCUMENTS = tuple(each.wire for each in MEMBERS if each.is_document)
"""Members with JSON of any form; their size is bounded together."""

normalised = Normaliser(Trace)
"""Makes a trace of what a producer sent."""


def _given(*names: str) -> dict[str, Any]:
    """Return the JSON Schema of an object that has one of ``names``, and not as ``null``."""
    return {
        "anyOf": [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in names]
    }


class StrictContract(Contract):
    """A contract that refuses unknown members, and aliases that contradict each other."""

    beside_it = "equal to it beside it"

    class Meta:
        """A misspelt optional member must not be lost in silence."""

        unknown = marshmallow.RAISE

    def known(self, _document: Any) -> Any:
        """Every object: unknown members are not skipped, since they are refused by name."""
        return Any

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.error_messages["unknown"] = UNKNOWN
        self.names = UnknownNames([*self.load_fields, *self.aliases])

    def decode(self, body: bytes) -> Any:
        """Return the JSON value of a request body.

        Raises:
            InvalidInput: it is none, or it is large and has an unknown member.
        """
        unknown = self.names.first(body)
        if unknown is not None:
            raise self.refusal(Faults({shown(unknown.name): self.fault_of_unknown(unknown.name)}))
        return super().decode(body)

    def fault_of_unknown(self, _name: str) -> Fault:
        """Return what is wrong with a member that this request does not have."""
        return UNKNOWN

    @property
    def field_names(self) -> frozenset[str]:
        """The names of the fields, older ones too: faults name what was sent."""
        return super().field_names | frozenset(self.aliases)

    def faults_or_loaded(self, data: dict[str, Any]) -> Any:
        """Return the loaded value, or ``Faults`` under the names that the client used."""
        canonical, sent_as, faults = self._resolve(data)
        judged = super().faults_or_loaded(canonical)
        if isinstance(judged, Faults):
            faults |= {sent_as.get(name, shown(name)): fault for name, fault in judged.items()}
        return Faults(faults) if faults else judged

    def _resolve(self, data: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str], dict[str, Fault]]:
        """Return the members by canonical name, the name each was sent under, and contradictions."""
        canonical: dict[str, Any] = {}
        sent_as: dict[str, str] = {}
        faults: dict[str, Fault] = {}
        for sent_name in sorted(data, key=lambda name: name in self.aliases):  # canonical names first
            name = self.aliases.get(sent_name, sent_name)
            if name not in canonical:
                canonical[name] = data[sent_name]
                sent_as[name] = shown(sent_name)
            elif not _is_same(canonical[name], data[sent_name]):
                faults[sent_name] = Fault(NOT_EQUAL.format(sent_as[name]), "mismatch")
        return canonical, sent_as, faults


def _is_same(one: Any, other: Any) -> bool:
    # true equals 1 in Python, but not in JSON.
    return type(one) is type(other) and one == other


class OutcomeSchema(StrictContract):
    """What may change when an action ends; ``null`` clears a member."""

    resource = "incident"
    aliases = OUTCOME_ALIASES
    glossary = meanings_of(OUTCOME_MEMBERS)
    rules = (
        {"minProperties": 1},
        {"properties": {name: {"not": {"type": "null"}} for name in ("execution_status", "status")}},
    )
    example = examples.OUTCOME

    class Meta(StrictContract.Meta):
        """What may change of an incident."""

        include = judges_of(OUTCOME_MEMBERS)

    def __init__(self, *, maximum_bytes: int) -> None:
        super().__init__(partial=True)  # what is not sent does not change
        self._maximum_bytes = maximum_bytes

    def faults_or_loaded(self, data: dict[str, Any]) -> Any:
        """Name members that exist and cannot change as such."""
        judged = super().faults_or_loaded(data)
        if not isinstance(judged, Faults):
            return judged
        unknown = [name for name, fault in judged.items() if fault == UNKNOWN]
        return Faults(judged | {name: self.fault_of_unknown(name) for name in unknown})

    def fault_of_unknown(self, name: str) -> Fault:
        """Tell what exists and cannot change from what does not exist."""
        return IMMUTABLE if name in FULL else UNKNOWN

    def refusal(self, faults: Faults) -> InvalidInput:
        """Give the attempt to change what cannot change its own slug."""
        error = super().refusal(faults)
        if IMMUTABLE in faults.values():
            error.slug = "immutable-field-violation"
        return error

    @validates_schema(pass_original=True)
    def refuse_nothing(self, _data: Any, original: Mapping[str, Any], **_: Any) -> None:
        """Refuse a change of nothing, and of the status to nothing."""
        if not original:
            raise ValidationError(Fault("must have at least one member to change"), field_name="body")
        if "execution_status" in original and original["execution_status"] is None:
            raise ValidationError(Fault("must not be null"), field_name="execution_status")

    @validates_schema(skip_on_field_errors=False)
    def check_total_size(self, data: dict[str, Any], **_: Any) -> None:
        """Bound the JSON columns of the request together."""
        check_documents(data, DOCUMENTS, self._maximum_bytes)

    @post_load
    def make_outcome(self, data: dict[str, Any], **_: Any) -> Outcome:
        """Keep exactly what was sent."""
        return Outcome(data)


class NewIncidentSchema(StrictContract):
    """One incident as a producer sends it."""

    resource = "incident"
    aliases = ALIASES
    glossary = meanings_of(NEW_MEMBERS) | {
        "resource_uid": "Uid of the resource; made of its names where none was ever sent.",
        "resource_api_version": "API version of the resource; `v1` when absent.",
    }
    rules = (
        _given("signal_name", "alert_name"),
        _given("resource_kind", "resource_type", "action_history_id"),
        _given("resource_name", "action_history_id"),
        {"anyOf": [_given("workflow_id"), {"properties": {"workflow_version": {"type": "null"}}}]},
    )
    example = examples.NEW_INCIDENT

    class Meta(StrictContract.Meta):
        """What may be said of a new incident."""

        include = judges_of(NEW_MEMBERS)

    resource_uid = Exact(maximum=36)
    resource_api_version = Exact(maximum=100)

    def __init__(self, clock: Clock, *, maximum_bytes: int) -> None:
        super().__init__()
        self._maximum_bytes = maximum_bytes
        field_of(self, "action_timestamp", ActionInstant).clock = clock

    @validates_schema(skip_on_field_errors=False)
    def check_total_size(self, data: dict[str, Any], **_: Any) -> None:
        """Bound the JSON columns together."""
        check_documents(data, DOCUMENTS, self._maximum_bytes)

    @validates_schema(skip_on_field_errors=False)
    def compare_members(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse what members lack or contradict together; a member with a fault of its own has none here."""
        faults = _missing_names(data) | _missing_resource(data)
        if data.get("workflow_version") is not None and "workflow_id" in data and data["workflow_id"] is None:
            faults["workflow_version"] = Fault("requires workflow_id")
        faults |= with_duration(data).faults
        if faults:
            raise ValidationError({name: [fault] for name, fault in faults.items()})

    @post_load
    def make_incident(self, data: dict[str, Any], **_: Any) -> NewIncident:
        """Apply every default."""
        uid, api_version = data.pop("resource_uid"), data.pop("resource_api_version")
        data["execution_duration_ms"] = with_duration(data).duration_ms
        trace = normalised(data)
        if trace.action_history_id is not None:
            return NewIncident(trace=trace, resource=None)
        resource = Resource(
            cluster_name=cluster_in_key(trace.cluster_name or ""),
            namespace=trace.namespace,
            kind=trace.resource_kind or "",
            name=trace.resource_name or "",
            api_version=api_version or "v1",
            resource_uid=uid,
        )
        return NewIncident(trace=trace, resource=resource)


def _missing_names(data: Mapping[str, Any]) -> dict[str, Fault]:
    """A signal has a name of its own or that of its alert, for which there is less room."""
    if "signal_name" not in data or data["signal_name"] is not None or "alert_name" not in data:
        return {}
    alert_name = data["alert_name"]
    if alert_name is None:
        return {"signal_name": IS_REQUIRED}
    if len(alert_name) > SIGNAL_NAME_CHARACTERS:
        most = f"at most {SIGNAL_NAME_CHARACTERS} characters"
        message = f"must have {most} without a signal_name (got {len(alert_name)})"
        return {"alert_name": Fault(message, "length_exceeded")}
    return {}


def _missing_resource(data: Mapping[str, Any]) -> dict[str, Fault]:
    if "action_history_id" not in data or data["action_history_id"] is not None:
        return {}
    names = ("resource_kind", "resource_name")
    return {name: IS_REQUIRED for name in names if name in data and data[name] is None}


class IncidentBatch(ArrayContract):
    """An array of 1 to 1000 incidents."""

    item_name = "incident"

    def __init__(self, item: NewIncidentSchema) -> None:
        super().__init__(item, resource="incidents", maximum=MAX_BATCH_ITEMS)
        self._names = item.names

    def decode(self, body: bytes) -> Any:
        """Return the items of a request body.

        Raises:
            InvalidInput: it is no JSON, or it is large and an item has an unknown member.
        """
        unknown = self._names.first(body)
        if unknown is not None and unknown.item is not None:
            fault = {f"[{unknown.item}].{shown(unknown.name)}": UNKNOWN}
            raise InvalidInput.of_items(self.resource, fault, item=self.item_name)
        return super().decode(body)
