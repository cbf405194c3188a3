"""An incident before it is stored, a change of one, and what became of them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from datastorage.incidents.trace import Trace

LONGEST_CLUSTER_BYTES = 1000
"""Of a cluster's name in the key of a resource. A row of a B-tree takes 2,704 bytes at most; namespace, kind
and name take 1,664 of them when they are as long as they may be, in characters of four bytes."""
KEPT_CHARACTERS = 150


def cluster_in_key(name: str) -> str:
    """Return what stands for a cluster in the key of its resources: its name, a very long one shortened.

    The digest keeps two long names apart. The incident itself keeps the name as it was sent.
    """
    written = name.encode("utf-8")
    if len(written) <= LONGEST_CLUSTER_BYTES:
        return name
    return f"{name[:KEPT_CHARACTERS]}…{hashlib.sha256(written).hexdigest()}"


ResourceKey = tuple[str, str, str, str]
"""What makes a resource the same; the empty namespace is that of the cluster itself."""


def resource_key(cluster_name: str, namespace: str | None, kind: str, name: str) -> ResourceKey:
    """Return the key of a resource; keys are sorted as locks are taken."""
    return cluster_name, namespace or "", kind, name


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """The resource that was acted upon, by its columns.

    ``cluster_name`` is that of ``cluster_in_key``; ``resource_uid`` is ``None`` when the producer does not
    know it.
    """

    cluster_name: str
    namespace: str | None
    kind: str
    name: str
    api_version: str
    resource_uid: str | None

    @property
    def key(self) -> ResourceKey:
        """What makes it the same resource."""
        return resource_key(self.cluster_name, self.namespace, self.kind, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewIncident:
    """One normalised incident: the trace, and the resource unless its history was named."""

    trace: Trace
    resource: Resource | None

    @property
    def action_id(self) -> str:
        """The producer's id of the action, which makes the write safe to send again."""
        return self.trace.action_id


@dataclass(frozen=True, slots=True)
class Outcome:
    """New values by column; ``None`` clears a column."""

    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stored:
    """The incident is committed; ``text`` is its full representation."""

    incident_id: int
    text: str


@dataclass(frozen=True, slots=True)
class AlreadyStored:
    """Another incident has this ``action_id``."""

    existing_id: int


@dataclass(frozen=True, slots=True)
class UnknownHistories:
    """Nothing is stored: these items name an ``action_history_id`` that does not exist."""

    indexes: Sequence[int]


@dataclass(frozen=True, slots=True)
class Changed:
    """The incident as it is after a change."""

    text: str


class ItemResult(msgspec.Struct, frozen=True):
    """What became of one item of a batch."""

    index: int
    status: str
    id: int
    action_id: str


class BatchResult(msgspec.Struct, frozen=True):
    """What became of a batch; a duplicate was stored before, or comes earlier in the batch."""

    created: int
    duplicates: int
    message: str
    results: list[ItemResult]


class BatchCreated(BatchResult, frozen=True):
    """At least one incident of the batch is new."""


class BatchKnown(BatchResult, frozen=True):
    """Every incident of the batch was stored before."""
