"""What holds in every mode is tested in mode ``kubernetes`` as well: who knows the callers, what they show.

``DATASTORAGE_TEST_MODE=kubernetes`` makes every service of a run such a one, unless its test chooses a mode.
"""

import atexit
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from datastorage.settings import environment
from tests.support.review_server import Account, review_server

VARIABLE: Final = "DATASTORAGE_TEST_MODE"
TOKEN: Final = "everything"


@dataclass(frozen=True)
class Guard:
    """Settings of a service that knows one caller, and the headers which that caller shows."""

    settings: Mapping[str, str]
    headers: Mapping[str, str]


@cache
def kubernetes() -> Guard:
    """Return the guard of this process; its API server runs until the end."""
    ending = ExitStack()
    atexit.register(ending.close)
    directory = Path(ending.enter_context(tempfile.TemporaryDirectory()))
    server = ending.enter_context(review_server(directory))
    verbs = frozenset({"get", "list", "create", "update"})
    server.accounts[TOKEN] = Account("system:serviceaccount:tests:everything", verbs)
    return Guard(server.settings, {"Authorization": f"Bearer {TOKEN}"})


def chosen() -> Guard | None:
    """Return the guard that the environment asks for."""
    return kubernetes() if environment().get(VARIABLE) == "kubernetes" else None
