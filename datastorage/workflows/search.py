"""Searching the catalogue: PostgreSQL selects the candidates, ``scoring`` puts them in order."""

import logging
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from datastorage.platform.clock import Clock, monotonic_seconds
from datastorage.platform.metrics import Metrics
from datastorage.workflows import events
from datastorage.workflows.events import Journal
from datastorage.workflows.explain import explanation, labels_of, rejections
from datastorage.workflows.model import Rejected, SearchAnswer, SearchRequest, SearchResult
from datastorage.workflows.ranking import Ranked, rank
from datastorage.workflows.scoring import POINT
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
        started = monotonic_seconds()
        status = "failure"
        try:
            answer, described = self._answer(request)
            status = "success"
        finally:
            duration_seconds = monotonic_seconds() - started
            self._metrics.query_duration_seconds.labels("search").observe(duration_seconds)
            self._metrics.query.labels("search", status).inc()
        duration_ms = round(duration_seconds * 1000)
        finished = events.Finished(described=described, duration_ms=duration_ms, at=self._clock())
        event = events.search_completed(request, answer, finished, maximum_bytes=self._maximum_event_bytes)
        self._journal.submit(event)
        _log(request, answer, event.resource_id, duration_ms)
        return answer

    def _answer(self, request: SearchRequest) -> tuple[SearchAnswer, Mapping[UUID, Mapping[str, Any]]]:
        candidates = self._store.find_candidates(request)
        ranking = rank(request.wanted, candidates, min_score=request.min_score, top_k=request.top_k)
        described = self._store.describe([ranked.workflow_id for ranked in ranking.best])
        results = [
            _result(request, place, ranked, described[ranked.workflow_id])
            for place, ranked in enumerate(ranking.best, start=1)
        ]
        answer = SearchAnswer(
            workflows=results,
            total_results=ranking.total,
            filters=request.echo,
            rejected=self._rejected(request, ranking.best) if request.explain else None,
        )
        return answer, described

    def _rejected(self, request: SearchRequest, found: list[Ranked]) -> list[Rejected]:
        rows = self._store.find_near_misses(request, [ranked.workflow_id for ranked in found])
        return rejections(request, rows)


def _result(request: SearchRequest, place: int, ranked: Ranked, row: Mapping[str, Any]) -> SearchResult:
    score = ranked.score
    return SearchResult(
        workflow_id=ranked.workflow_id,
        title=row["name"],
        description=row["description"],
        signal_type=row["labels"]["signal_type"],
        container_image=row["container_image"],
        container_digest=row["container_digest"],
        confidence=score.final,
        final_score=score.final,
        label_boost=score.label_boost,
        label_penalty=score.penalty / POINT,
        mandatory_match_score=score.mandatory / POINT,
        detected_label_boost=score.detected / POINT,
        custom_label_boost=score.custom / POINT,
        rank=place,
        custom_labels=row["custom_labels"],
        detected_labels=row["detected_labels"],
        explanation=explanation(request.wanted, labels_of(row)) if request.explain else None,
    )


def _log(request: SearchRequest, answer: SearchAnswer, query_hash: str, duration_ms: int) -> None:
    logger.info(
        "Workflow search finished",
        extra={
            "query_hash": query_hash,
            "correlation_id": request.remediation_id or query_hash,
            "count": len(answer.workflows),
            "total": answer.total_results,
            "duration_ms": duration_ms,
        },
    )
    logger.debug("Workflow search filters", extra={"filters": answer.filters})
