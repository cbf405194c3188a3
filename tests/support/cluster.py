"""A Kubernetes API server that the environment names, for what only a real one can tell."""

import base64
import subprocess
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml

from datastorage.settings import environment
from tests.guards.manifests import KUBECTL

VARIABLE = "DATASTORAGE_TEST_KUBE_API"
needs_cluster = pytest.mark.skipif(
    VARIABLE not in environment(), reason=f"needs {VARIABLE}, an administrator's kubeconfig file"
)


class Cluster:
    """The API server of a kubeconfig file; what is applied stays there, so let it be a throw-away one."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig

    @cached_property
    def _server(self) -> Mapping[str, Any]:
        shown = yaml.safe_load(self.kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "yaml"))
        server: Mapping[str, Any] = shown["clusters"][0]["cluster"]
        return server

    @property
    def url(self) -> str:
        """Where it listens."""
        return str(self._server["server"])

    @property
    def ca(self) -> bytes:
        """The certificate that vouches for it."""
        return base64.b64decode(self._server["certificate-authority-data"])

    def kubectl(self, *arguments: str, given: str = "") -> str:
        """Run kubectl with a text as its standard input, and return what it prints."""
        done = subprocess.run(  # noqa: S603 - a program of our own environment
            [KUBECTL, "--kubeconfig", self._kubeconfig, *arguments],
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Create the objects, or change them."""
        self.kubectl("apply", "-f", "-", given=yaml.safe_dump_all(objects))

    def dry_run(self, manifests: str) -> str:
        """Let the server judge manifests as if they were applied; return its answer."""
        return self.kubectl("apply", "--dry-run=server", "-f", "-", given=manifests)

    def token_of(self, account: str, namespace: str) -> str:
        """Return a token of a service account."""
        return self.kubectl("create", "token", account, "--namespace", namespace).strip()


def named_cluster() -> Cluster:
    """Return the one that the environment names."""
    return Cluster(Path(environment()[VARIABLE]))
