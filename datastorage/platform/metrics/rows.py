"""How a row of the metric table becomes a metric.

A row is a class attribute of ``Metrics``; its metric is called ``datastorage_`` and the attribute's
name, and counters get ``_total`` from the client library. Each ``Metrics`` object builds its own
metrics, on its own registry, and keeps them under the row's name: reading ``metrics.db_up``
costs no more than any other attribute.
"""

import itertools
from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, Self, TypeVar, overload

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from datastorage.platform.metrics.observations import Observations

PREFIX: Final = "datastorage_"

# One `_created` series per counter would exist without multi-process mode only, and nobody reads it.
disable_created_metrics()  # type: ignore[no-untyped-call] # the client forgot its annotation

GaugeMode = Literal["livesum", "max", "mostrecent"]
_Metric = TypeVar("_Metric", Counter, Gauge, Histogram)

NOWHERE: Final = Observations()
"""Keeps nothing."""
_LONG_AGO: Final = 1.0
"""A Unix time before any value that was really set."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Label names, and the combinations of values that exist before anything happened."""

    names: tuple[str, ...]
    initial: tuple[tuple[str, ...], ...] = ()


def each(**values: Iterable[str]) -> Labels:
    """Return labels of which every combination of ``values`` exists from the start."""
    return Labels(tuple(values), tuple(itertools.product(*values.values())))


NO_LABELS: Final = each()
"""One combination, the empty one."""


class Row(Generic[_Metric]):
    """One row of the table; on an instance of ``Metrics`` it stands for the metric itself."""

    def __init__(
        self,
        create: Callable[[str, CollectorRegistry, Observations], _Metric],
        initial: Sequence[tuple[str, ...]],
    ) -> None:
        self._create: Callable[[str, CollectorRegistry, Observations], _Metric] = create
        self._initial = initial
        self._attribute = ""

    def __set_name__(self, owner: type, attribute: str) -> None:
        self._attribute = attribute

    @overload
    def __get__(self, table: None, owner: type) -> Self: ...

    @overload
    def __get__(self, table: object, owner: type) -> _Metric: ...

    def __get__(self, table: object | None, owner: type) -> "Self | _Metric":
        # An instance holds its metric in __dict__, which Python asks before this method.
        if table is None:
            return self
        raise AttributeError(f"{self._attribute} was not built")

    def build(self, table: object, registry: CollectorRegistry, observations: Observations = NOWHERE) -> None:
        """Create the metric on ``registry``, with its first series, as an attribute of ``table``."""
        metric = self._create(PREFIX + self._attribute, registry, observations)
        for values in self._initial:
            start(metric, *values)
        vars(table)[self._attribute] = metric


def start(metric: Counter | Gauge | Histogram, *values: str) -> None:
    """Make the series of ``metric`` with these label values exist, at 0.

    A `mostrecent` gauge is left out of a scrape until it was set once, and the latest `set` of all
    workers wins. So its 0 is written with an early time: a worker that is started later must not
    replace what the others know. The client has no public way to give a time.
    """
    child = metric.labels(*values) if values else metric
    if isinstance(child, Gauge):
        child._value.set(0.0, timestamp=_LONG_AGO)  # noqa: SLF001 - see above


def counter(meaning: str, labels: Labels = NO_LABELS) -> Row[Counter]:
    """Return the row of a counter."""

    def create(name: str, registry: CollectorRegistry, observations: Observations) -> Counter:
        metric = _Counter(name, meaning, labels.names, registry=registry)
        return metric.kept_in(observations)

    return Row(create, labels.initial)


def gauge(meaning: str, labels: Labels = NO_LABELS, *, mode: GaugeMode) -> Row[Gauge]:
    """Return the row of a gauge; ``mode`` says how the values of several workers become one."""

    def create(name: str, registry: CollectorRegistry, observations: Observations) -> Gauge:
        metric = _Gauge(name, meaning, labels.names, registry=registry, multiprocess_mode=mode)
        return metric.kept_in(observations)

    return Row(create, labels.initial)


def histogram(meaning: str, labels: Labels = NO_LABELS, *, buckets: Sequence[float]) -> Row[Histogram]:
    """Return the row of a histogram; ``buckets`` are upper bounds, without +Inf."""

    def create(name: str, registry: CollectorRegistry, observations: Observations) -> Histogram:
        metric = _Histogram(name, meaning, labels.names, registry=registry, buckets=buckets)
        return metric.kept_in(observations)

    return Row(create, labels.initial)


class _Kept:
    """Gives observations away to be kept, and finds a labelled child without the client's lock."""

    _observations = NOWHERE

    def __init__(self, *args: Any, **options: Any) -> None:
        self._found: dict[tuple[object, ...], Self] = {}
        super().__init__(*args, **options)

    def kept_in(self, observations: Observations) -> Self:
        self._observations = observations
        return self

    def labels(self, *values: object, **named: object) -> Self:
        child = None if named else self._found.get(values)
        if child is None:
            created: Self = super().labels(*values, **named)  # type: ignore[misc] # of the class beside this one
            created.kept_in(self._observations)
            if named:
                return created
            self._found[values] = child = created
        return child


class _Counter(_Kept, Counter):
    def inc(self, amount: float = 1, exemplar: dict[str, str] | None = None) -> None:
        if not self._observations.keep(self, amount):
            super().inc(amount, exemplar)

    def add(self, values: list[float]) -> None:
        super().inc(sum(values))


class _Gauge(_Kept, Gauge):
    def set(self, value: float) -> None:
        if not self._observations.keep(self, value):
            super().set(value)

    def add(self, values: list[float]) -> None:
        super().set(values[-1])


class _Histogram(_Kept, Histogram):
    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        if not self._observations.keep(self, amount):
            super().observe(amount, exemplar)

    def add(self, values: list[float]) -> None:
        self._sum.inc(sum(values))
        for place, count in Counts(bisect_left(self._upper_bounds, value) for value in values).items():
            self._buckets[place].inc(count)
