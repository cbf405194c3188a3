"""Contents page: the ten checks, in the order in which they are made."""

from collections.abc import Callable
from pkgutil import resolve_name

from datastorage.validation.check import Check
from datastorage.validation.subject import Subject


def _in(place: str) -> Callable[[Subject, float], str]:
    """Return a check that is imported when it is made: a package that is missing is a finding."""

    def examine(subject: Subject, seconds: float) -> str:
        found: str = resolve_name(f"{__package__}.{place}")(subject, seconds)
        return found

    return examine


CHECKS = (
    Check(number=1, title="PostgreSQL", examine=_in("servers:postgresql"), seconds=10),
    Check(number=2, title="schema", examine=_in("servers:schema"), seconds=10, needs=(1,)),
    Check(number=3, title="tables and partitions", examine=_in("servers:tables"), seconds=10, needs=(1, 2)),
    Check(number=4, title="dependencies", examine=_in("packages:dependencies"), seconds=15),
    Check(number=5, title="imports", examine=_in("packages:imports"), seconds=15),
    Check(
        number=6,
        title="servers for tests and queue",
        examine=_in("queue:servers_for_tests"),
        seconds=20,
    ),
    Check(number=7, title="container tool", examine=_in("tools:container_tool"), seconds=10),
    Check(number=8, title="service", examine=_in("service:start"), seconds=25),
    Check(number=9, title="linter and type checker", examine=_in("tools:linters"), seconds=50),
    Check(number=10, title="project layout", examine=_in("tools:layout"), seconds=5),
)
