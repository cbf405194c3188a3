"""The environment: long names, the short names of existing deployments, and names nobody knows.

An empty variable counts as absent, since manifests and compose files often pass one through.
"""

import os
import re
from collections.abc import Mapping

from datastorage.settings.findings import Findings, Given
from datastorage.settings.table import KEYS, closest

DATABASE_URL = "DATASTORAGE_DATABASE_URL"
REDIS_URL = "DATASTORAGE_REDIS_URL"
DATABASE_PASSWORD = "DB_PASSWORD"  # noqa: S105 - the name of a variable
REDIS_PASSWORD = "REDIS_PASSWORD"  # noqa: S105 - the name of a variable

SECRET_VARIABLES = (DATABASE_URL, REDIS_URL, DATABASE_PASSWORD, REDIS_PASSWORD)
"""Removed from the process environment before workers start: nothing inherits them from a worker."""

_PREFIX = "DATASTORAGE_"
_KNOWN = (*(key.variable for key in KEYS), DATABASE_URL, REDIS_URL)
_NOT_OURS = ("DATASTORAGE_TEST_", "DATASTORAGE_DEV_")

# Kubernetes gives every pod the addresses of the Services of its namespace. One named `datastorage`
# must not keep ours from starting.
_SERVICE_LINK = re.compile(
    r"DATASTORAGE_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_\w+)?)?)"
)


def environment() -> Mapping[str, str]:
    """Return the environment of this process, for callers that pass it to ``Settings.load``."""
    return os.environ  # noqa: TID251 - the one place that reads it


def variable_values(environ: Mapping[str, str], findings: Findings) -> dict[str, Given]:
    """File the values of the environment by slot; the long name of a key wins over the short one."""
    unknown = sorted(name for name in environ if name.startswith(_PREFIX) and not _is_known(name))
    findings.invalid.extend(
        f"unknown environment variable {name} (the closest known one is {closest(name, _KNOWN)})"
        for name in unknown
    )
    return {
        key.slot: Given(environ[variable], variable)
        for key in KEYS
        for variable in key.variables
        if environ.get(variable)
    }


def _is_known(name: str) -> bool:
    return name in _KNOWN or name.startswith(_NOT_OURS) or _SERVICE_LINK.fullmatch(name) is not None
