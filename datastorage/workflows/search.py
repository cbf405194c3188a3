"""Searching the catalogue: PostgreSQL finds and ranks; the answer and its audit event are made here."""

import logging

import msgspec

from datastorage.platform.clock import Clock
from datastorage.platform.logs import log_lean
from datastorage.platform.metrics import Metrics
from datastorage.platform.metrics.timing import timed_query
from datastorage.workflows import events
from datastorage.workflows.events import Journal
from datastorage.workflows.explain import explanation, rejections
from datastorage.workflows.model import Rejected, SearchAnswer, SearchRequest, SearchResult
from datastorage.workflows.ranking import Found
from datastorage.workflows.scoring import POINT, Labels
from datastorage.workflows.store import WorkflowStore

logger = logging.getLogger(__name__)


class WorkflowSearch:
    """Finds the workflows that fit a workload best.

    Args:
        store: the table.
        journal: takes the audit event of each search.
        metrics: durations and outcomes.
        clock: the server's now, the time of the event.
        maximum_event_bytes: largest payload of an audit event.
    """

    def __init__(
        self,
        store: WorkflowStore,
        journal: Journal,
        metrics: Metrics,
        clock: Clock,
        *,
        maximum_event_bytes: int,
    ) -> None:
        self._store = store
        self._journal = journal
        self._metrics = metrics
        self._clock = clock
        self._maximum_event_bytes = maximum_event_bytes

    def search(self, request: SearchRequest) -> SearchAnswer:
        """Return the best workflows, and put the event of the search into the journal.

        Raises:
            DatabaseError: classified; no event is written.
        """
        with timed_query(self._metrics, "search") as timed:
            found = self._store.find_best(request)
            answer = self._answer(request, found)
        duration_ms = round(timed.duration_seconds * 1000)
        finished = events.Finished(found=found, duration_ms=duration_ms, at=self._clock())
        event = events.search_completed(request, answer, finished, maximum_bytes=self._maximum_event_bytes)
        self._journal.submit(event)
        _log(request, answer, event.resource_id, duration_ms)
        return answer

    def _answer(self, request: SearchRequest, found: list[Found]) -> SearchAnswer:
        return SearchAnswer(
            [_result(request, place, row) for place, row in enumerate(found, start=1)],
            found[0].total if found else 0,
            request.echo,
            self._rejected(request, found) if request.explain else None,
        )

    def _rejected(self, request: SearchRequest, found: list[Found]) -> list[Rejected]:
        rows = self._store.find_near_misses(request, [row.workflow_id for row in found])
        return rejections(request, rows)


def _result(request: SearchRequest, place: int, row: Found) -> SearchResult:
    score = row.score
    final = score.final
    return SearchResult(
        workflow_id=row.workflow_id,
        title=row.name,
        description=row.description,
        signal_type=request.echo.signal_type,
        confidence=final,
        final_score=final,
        label_boost=score.label_boost,
        label_penalty=score.penalty / POINT,
        mandatory_match_score=score.mandatory / POINT,
        detected_label_boost=score.detected / POINT,
        custom_label_boost=score.custom / POINT,
        rank=place,
        detected_labels=msgspec.Raw(row.detected_labels.encode("utf-8")),
        custom_labels=None if row.custom_labels == "{}" else msgspec.Raw(row.custom_labels.encode("utf-8")),
        container_image=row.container_image,
        container_digest=row.container_digest,
        explanation=explanation(request.wanted, _declared(row)) if request.explain else None,
    )


def _declared(row: Found) -> Labels:
    return Labels(*map(msgspec.json.decode, (row.labels, row.custom_labels, row.detected_labels)))


def _log(request: SearchRequest, answer: SearchAnswer, query_hash: str, duration_ms: int) -> None:
    fields = {
        "query_hash": query_hash,
        "correlation_id": request.remediation_id or query_hash,
        "count": len(answer.workflows),
        "total": answer.total_results,
        "duration_ms": duration_ms,
    }
    log_lean(logger, logging.INFO, "Workflow search finished", fields)
    logger.debug("Workflow search filters", extra={"filters": msgspec.to_builtins(answer.filters)})
