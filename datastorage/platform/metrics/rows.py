"""How a row of the metric table becomes a metric.

A row is a class attribute of ``Metrics``; its metric is called ``datastorage_`` and the attribute's name,
and the client adds ``_total`` to counters. Each ``Metrics`` object builds its own metrics, on its own
registry, under the names of the rows, so reading ``metrics.db_up`` costs no more than any other attribute.
"""

import itertools
from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, Self, TypeVar, overload

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.metrics import MetricWrapperBase

from datastorage.platform.metrics.deferred import DeferredUpdates
from datastorage.platform.metrics.files import use_allocated_files

use_allocated_files()
# The client would add a `_created` series to each counter, outside multi-process mode only.
disable_created_metrics()

GaugeMode = Literal["livemin", "livesum", "max", "mostrecent"]
_LONG_AGO: Final = 1.0
"""A Unix time before any value that was really set."""
AT_ONCE: Final = DeferredUpdates()
"""No request ever begins here, so nothing is deferred."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Label names, and the combinations of values that exist from the start."""

    names: tuple[str, ...]
    initial: tuple[tuple[str, ...], ...] = ()


def each(**values: Iterable[str]) -> Labels:
    """Return labels of which every combination of ``values`` exists from the start."""
    return Labels(tuple(values), tuple(itertools.product(*values.values())))


NO_LABELS: Final = each()
ABSENT_UNTIL_SET: Final = Labels(())
"""No labels, and no value from the start: for a ``mostrecent`` gauge."""


class _Deferring(MetricWrapperBase):
    """Defers its updates while requests run, and finds a labelled child without the client's lock."""

    updates = AT_ONCE

    def __init__(self, *args: Any, **options: Any) -> None:
        self._found: dict[tuple[object, ...], Self] = {}
        super().__init__(*args, **options)

    def labels(self, *values: object, **named: object) -> Self:
        found = None if named else self._found.get(values)
        if found is None:
            found = super().labels(*values, **named)
            found.updates = self.updates
            if not named:
                self._found[values] = found
        return found


class _Counter(_Deferring, Counter):
    def inc(self, amount: float = 1, exemplar: dict[str, str] | None = None) -> None:
        if not self.updates.defer(self, amount):
            super().inc(amount, exemplar)

    def add(self, values: list[float]) -> None:
        super().inc(sum(values))


class _Gauge(_Deferring, Gauge):
    def set(self, value: float) -> None:
        if not self.updates.defer(self, value):
            super().set(value)

    def add(self, values: list[float]) -> None:
        super().set(values[-1])


class _Histogram(_Deferring, Histogram):
    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        if not self.updates.defer(self, amount):
            super().observe(amount, exemplar)

    def add(self, values: list[float]) -> None:
        self._sum.inc(sum(values))
        for place, count in Counts(bisect_left(self._upper_bounds, value) for value in values).items():
            self._buckets[place].inc(count)


_Metric = TypeVar("_Metric", bound=_Counter | _Gauge | _Histogram)


class Row(Generic[_Metric]):
    """One row of the table; on an instance of ``Metrics`` the attribute is the metric itself."""

    def __init__(self, kind: Callable[..., _Metric], meaning: str, labels: Labels, **options: Any) -> None:
        self._kind = kind
        self._meaning = meaning
        self._labels = labels
        self._options = options

    def __set_name__(self, owner: type, attribute: str) -> None:
        self._attribute = attribute

    @overload
    def __get__(self, table: None, owner: type) -> Self: ...

    @overload
    def __get__(self, table: object, owner: type) -> _Metric: ...

    def __get__(self, table: object | None, owner: type) -> "Self | _Metric":
        # Python looks into the instance's __dict__, where the metric is, before it calls this method.
        if table is None:
            return self
        raise AttributeError(f"{self._attribute} was not built")

    def build(self, table: object, registry: CollectorRegistry, updates: DeferredUpdates = AT_ONCE) -> None:
        """Create the metric on ``registry``, with its first series, as an attribute of ``table``."""
        name = f"datastorage_{self._attribute}"
        metric = self._kind(name, self._meaning, self._labels.names, registry=registry, **self._options)
        metric.updates = updates
        for values in self._labels.initial:
            start(metric, *values)
        vars(table)[self._attribute] = metric


def start(metric: Counter | Gauge | Histogram, *values: str) -> None:
    """Make the series of ``metric`` with these label values exist, at 0.

    A `mostrecent` gauge is missing from a scrape until it was set once, and the latest `set` of all workers
    wins. So its 0 is written with an early time: a worker that starts later must not replace what the others
    know. The client has no public way to give a time.
    """
    child = metric.labels(*values) if values else metric
    if isinstance(child, Gauge):
        child._value.set(0.0, timestamp=_LONG_AGO)  # noqa: SLF001 - see above


def counter(meaning: str, labels: Labels = NO_LABELS) -> Row[_Counter]:
    """Return the row of a counter."""
    return Row(_Counter, meaning, labels)


def gauge(meaning: str, labels: Labels = NO_LABELS, *, mode: GaugeMode) -> Row[_Gauge]:
    """Return the row of a gauge; ``mode`` says how the values of several workers become one."""
    return Row(_Gauge, meaning, labels, multiprocess_mode=mode)


def histogram(meaning: str, labels: Labels = NO_LABELS, *, buckets: Sequence[float]) -> Row[_Histogram]:
    """Return the row of a histogram; ``buckets`` are upper bounds, without +Inf."""
    return Row(_Histogram, meaning, labels, buckets=buckets)
