"""Callers that a trusted proxy names: people and services, who may do everything but for one."""

from pathlib import Path

import yaml

USER = "X-Auth-Request-User"
ANA = {USER: "ana"}
BOB = {USER: "bob"}
GATEWAY = {USER: "system:serviceaccount:kubernaut-system:gateway"}
WRITER = {USER: "writer@example.org"}
"""A person who may write, and nothing else."""

_POLICY = {
    "bindings": [
        {"role": "admin", "users": [each[USER] for each in (ANA, BOB, GATEWAY)]},
        {"role": "writer", "users": [WRITER[USER]]},
    ]
}


def behind_proxy(directory: Path) -> dict[str, str]:
    """Return settings of a service to which the tests are such a proxy."""
    policy = directory / "policy.yaml"
    policy.write_text(yaml.safe_dump(_POLICY))
    return {
        "AUTH_MODE": "proxy",
        "AUTH_TRUSTED_PROXIES": "127.0.0.1/32",
        "AUTH_POLICY_FILE": str(policy),
        "SERVER_WORKERS": "1",
    }
