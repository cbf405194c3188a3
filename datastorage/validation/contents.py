"""Contents page: the ten checks, in the order in which they are made."""

from datastorage.validation import infrastructure, packages, servers, service, sources
from datastorage.validation.check import Check

CHECKS = (
    Check(number=1, title="PostgreSQL", examine=servers.postgresql, seconds=10),
    Check(number=2, title="schema", examine=servers.schema, seconds=10, needs=(1,)),
    Check(number=3, title="tables and partitions", examine=servers.tables, seconds=10, needs=(1, 2)),
    Check(number=4, title="dependencies", examine=packages.dependencies, seconds=15),
    Check(number=5, title="imports", examine=packages.imports, seconds=15),
    Check(
        number=6, title="servers for tests and queue", examine=infrastructure.servers_for_tests, seconds=20
    ),
    Check(number=7, title="container tool", examine=infrastructure.container_tool, seconds=10),
    Check(number=8, title="service", examine=service.start, seconds=25),
    Check(number=9, title="linter and type checker", examine=sources.linters, seconds=50),
    Check(number=10, title="project layout", examine=sources.layout, seconds=5),
)
