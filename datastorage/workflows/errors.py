"""What can go wrong with a workflow beyond what can go wrong anywhere."""

from collections.abc import Mapping

from datastorage.errors import Conflict, Fault, InvalidInput


class StatusConflict(Conflict):
    """The wanted status cannot follow the stored one; nothing was changed."""

    slug = "workflow-status-conflict"


class ImmutableField(InvalidInput):
    """A field that never changes was sent in an update; a new version is the way to change it."""

    slug = "immutable-field-violation"


class VersionTaken(Exception):
    """Raised inside the transaction of a create to roll it back: the version exists already."""


def refusal(faults: Mapping[str, Fault]) -> InvalidInput:
    """Return the error whose detail names the first of ``faults``."""
    field, fault = next(iter(faults.items()))
    return InvalidInput(f"{field}: {fault}", faults)
