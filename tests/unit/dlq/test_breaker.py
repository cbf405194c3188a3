from datastorage.dlq.breaker import FAILURES_TO_OPEN, CircuitBreaker
from datastorage.platform.metrics import Metrics


class Seconds:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Case:
    """A breaker, its gauge and its clock."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.seconds = Seconds()
        self.breaker = CircuitBreaker(self.metrics.circuit_breaker_state, clock=self.seconds)

    def fail(self, times: int) -> None:
        for _ in range(times):
            self.breaker.failed()

    @property
    def state(self) -> float | None:
        return self.metrics.registry.get_sample_value("datastorage_circuit_breaker_state")


def test_nine_failures_leave_it_closed() -> None:
    case = Case()

    case.fail(FAILURES_TO_OPEN - 1)

    assert case.breaker.lets_through()
    assert case.state == 0


def test_ten_failures_in_a_row_open_it() -> None:
    case = Case()

    case.fail(FAILURES_TO_OPEN)

    assert not case.breaker.lets_through()
    assert case.state == 1


def test_success_in_between_starts_the_count_anew() -> None:
    case = Case()

    case.fail(FAILURES_TO_OPEN - 1)
    case.breaker.succeeded()
    case.fail(FAILURES_TO_OPEN - 1)

    assert case.breaker.lets_through()


def test_one_write_a_second_probes_while_open() -> None:
    case = Case()
    case.fail(FAILURES_TO_OPEN)

    let_through = []
    for _ in range(16):
        case.seconds.now += 0.25
        let_through.append(case.breaker.lets_through())

    assert let_through.count(True) == 4
    assert case.state == 2


def test_failed_probe_keeps_it_open() -> None:
    case = Case()
    case.fail(FAILURES_TO_OPEN)
    case.seconds.now += 1

    assert case.breaker.lets_through()
    case.breaker.failed()

    assert case.state == 1
    assert not case.breaker.lets_through()


def test_any_success_closes_it_at_once() -> None:
    case = Case()
    case.fail(FAILURES_TO_OPEN + 5)

    case.breaker.succeeded()

    assert case.breaker.lets_through()
    assert case.state == 0
