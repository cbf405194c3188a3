"""What is decided about workflows: which create is a conflict, which change is allowed, what is audited."""

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from msgspec import structs

from datastorage.audit.attribution import metadata_of_request
from datastorage.errors import Conflict, Fault, InvalidInput, NotFound, RowRefused
from datastorage.platform.access.identity import Identity
from datastorage.platform.logs import log_lean
from datastorage.platform.metrics import Metrics
from datastorage.platform.metrics.timing import timed_query, timed_write
from datastorage.settings import WorkflowsSettings
from datastorage.workflows import events, lifecycle
from datastorage.workflows.errors import refusal
from datastorage.workflows.events import Journal
from datastorage.workflows.lifecycle import Change
from datastorage.workflows.model import Created, PageRequest, StoredWorkflow, VersionList, WorkflowPage
from datastorage.workflows.store import WorkflowStore
from datastorage.workflows.workflow import Workflow

logger = logging.getLogger(__name__)

T = TypeVar("T")

TABLE = "remediation_workflow_catalog"
UNSTORABLE = Fault("the workflow has a value that cannot be stored", "database_constraint")
MISMATCH = Fault("must be the SHA-256 of content in hexadecimal", "mismatch")


class WorkflowService:
    """Registers, changes and reads workflows.

    Every method raises a classified ``DatabaseError`` when it cannot; then nothing is stored or changed.

    Args:
        store: the table.
        journal: takes the audit events.
        metrics: durations and outcomes.
        settings: what to do about a wrong content hash.
    """

    def __init__(
        self, store: WorkflowStore, journal: Journal, metrics: Metrics, settings: WorkflowsSettings
    ) -> None:
        self._store = store
        self._journal = journal
        self._metrics = metrics
        self._settings = settings

    def create(self, workflow: Workflow, identity: Identity) -> Created:
        """Register a version; it becomes the latest of its name, and a person its author.

        Raises:
            InvalidInput: its content hash is wrong and the policy is to enforce it.
            Conflict: the version exists, with whatever content.
        """
        self._check_content_hash(workflow)
        metadata = metadata_of_request(identity, [workflow.created_by])
        if identity.is_person:
            workflow = structs.replace(workflow, created_by=identity.name)
        with self._measured_write("Workflow created", workflow_name=workflow.workflow_name) as logged:
            stored = self._store.add(workflow)
            logged["outcome"] = "created" if stored else "conflict"
            logged["workflow_id"] = str(stored.workflow_id) if stored else None
        if stored is None:
            detail = f"Workflow '{workflow.workflow_name}' version '{workflow.version}' already exists"
            raise Conflict(detail, title="Workflow Already Exists")
        self._journal.submit(events.created(stored, metadata=metadata))
        return Created(stored)

    def update(self, workflow_id: UUID, change: Change, identity: Identity) -> StoredWorkflow:
        """Change what may change of a workflow and return it as it is afterwards.

        Raises:
            NotFound: there is no such workflow.
            StatusConflict: the status cannot follow the stored one.
            InvalidInput: more successes than executions.
        """
        if identity.is_person:
            change = replace(change, person=identity.name)
        with self._measured_write("Workflow updated", workflow_id=str(workflow_id)) as logged:
            outcome = self._store.change(workflow_id, lambda row, now: lifecycle.apply(change, row, now))
            logged["count"] = len(outcome[1]) if outcome else 0
        if outcome is None:
            raise _not_found(workflow_id)
        workflow, changed = outcome
        if changed:
            is_disable = change.status == lifecycle.DISABLED
            metadata = metadata_of_request(identity, change.named)
            self._journal.submit(events.updated(workflow, changed, is_disable=is_disable, metadata=metadata))
        return workflow

    def find(self, workflow_id: UUID) -> StoredWorkflow:
        """Return one workflow, whatever its status or version.

        Raises:
            NotFound: there is no such workflow.
        """
        found = self._measured_read("get", lambda: self._store.find(workflow_id))
        if found is None:
            raise _not_found(workflow_id)
        return found

    def find_page(self, wanted: PageRequest) -> WorkflowPage:
        """Return one page of the inventory, newest first."""
        texts, total = self._measured_read("list", lambda: self._store.find_page(wanted))
        return WorkflowPage(_raw(texts), wanted.limit, wanted.offset, total)

    def find_versions(self, workflow_name: str) -> VersionList:
        """Return every version of a name, newest first; none for an unknown name."""
        texts = self._measured_read("list", lambda: self._store.find_versions(workflow_name))
        return VersionList(workflow_name, _raw(texts), len(texts))

    def _check_content_hash(self, workflow: Workflow) -> None:
        expected = hashlib.sha256(workflow.content.encode("utf-8")).hexdigest()
        if workflow.content_hash.lower() == expected:
            return
        if self._settings.content_hash_policy == "enforce":
            raise refusal({"content_hash": MISMATCH})
        # Existing clients send placeholders; the metric shows when the last of them stops.
        self._metrics.count_validation_failure("content_hash", MISMATCH.reason)
        named = {"workflow_name": workflow.workflow_name, "version": workflow.version}
        logger.warning("Content hash does not match the content", extra=named)

    @contextmanager
    def _measured_write(self, message: str, **ids: Any) -> Iterator[dict[str, Any]]:
        timed = timed_write(self._metrics, TABLE, refusals=(Conflict, InvalidInput))
        try:
            with timed:
                yield ids
        except RowRefused as refused:  # PostgreSQL would refuse it on every retry
            ids |= {"sqlstate": refused.sqlstate, "constraint": refused.constraint}
            raise refusal({"body": UNSTORABLE}) from refused
        finally:
            logger.info(message, extra=ids | {"status": timed.status, "duration_ms": timed.duration_ms})

    def _measured_read(self, operation: str, read: Callable[[], T]) -> T:
        timed = timed_query(self._metrics, operation)
        try:
            with timed:
                return read()
        finally:
            fields = {"operation": operation, "status": timed.status, "duration_ms": timed.duration_ms}
            log_lean(logger, logging.INFO, "Workflow read finished", fields)


def _raw(texts: Sequence[str]) -> list[msgspec.Raw]:
    return [msgspec.Raw(text.encode("utf-8")) for text in texts]


def _not_found(workflow_id: UUID) -> NotFound:
    return NotFound(f"Workflow not found: {workflow_id}")
