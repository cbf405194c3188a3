"""What can go wrong with a workflow beyond what can go wrong anywhere."""

from datastorage.errors import Conflict, InvalidInput


class StatusConflict(Conflict):
    """The wanted status cannot follow the stored one; nothing was changed."""

    slug = "workflow-status-conflict"


class ImmutableField(InvalidInput):
    """A field that never changes was sent in an update; a new version is the way to change it."""

    slug = "immutable-field-violation"


class VersionTaken(Exception):
    """Raised inside the transaction of a create to roll it back: the version exists already."""
