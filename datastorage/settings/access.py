"""Who may call: the modes of access control, and where they look."""

from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from datastorage.settings import kinds
from datastorage.settings.keys import optional, setting
from datastorage.settings.rates import Rate
from datastorage.settings.sources import environment

MODES = ("none", "proxy", "kubernetes", "jwt", "static")
BEARER_MODES = frozenset({"kubernetes", "jwt", "static"})
"""Modes whose callers show a token, which people at a browser do by a session."""
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes mounts token, certificate and namespace of a pod's own account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesAuthSettings:
    """The API server that reviews tokens, and the object that roles name.

    Attributes:
        audiences: of which a token must have one; those of the API server when empty.
        export_verb: what an export needs; ``get`` lets every reader export.
        review_timeout: of each review.
    """

    api_url: str = setting(kinds.url("https"), "https://kubernetes.default.svc")
    ca_file: Path = setting(kinds.text(then=Path), str(_SERVICE_ACCOUNT / "ca.crt"))
    token_file: Path = setting(kinds.text(then=Path), str(_SERVICE_ACCOUNT / "token"))
    namespace: str | None = optional(kinds.text())
    audiences: tuple[str, ...] = setting(kinds.listing(kinds.text()), "")
    export_verb: str = setting(kinds.choice("get", "list"), "get")
    review_timeout: timedelta = setting(kinds.duration("100ms", "10s"), "2s")

    @property
    def own_namespace(self) -> str:
        """The namespace in which roles for this service are looked for."""
        named = self.namespace or environment().get("POD_NAMESPACE")
        if named:
            return named
        try:
            return (_SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
        except OSError:
            return "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitSettings:
    """How many requests a caller may send.

    Attributes:
        reads: of one caller; reads, exports and what only admins may do.
        writes: of one caller.
        failures: refused credentials from one address.
        write_status: of a write beyond the limit.
        storage: where is counted: in each worker, or in Redis for all pods.
    """

    reads: Rate | None = setting(kinds.rate(), "off")
    writes: Rate | None = setting(kinds.rate(), "off")
    failures: Rate | None = setting(kinds.rate(), "60/minute")
    write_status: str = setting(kinds.choice("503", "429"), "503")
    storage: str = setting(kinds.choice("memory", "redis"), "memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """Sessions of people at the pages under ``/console``.

    Attributes:
        session_key_file: the keys that seal sessions; a random one for each start when unset.
        session_ttl: how long a session lasts; it also ends with the token in it.
    """

    session_key_file: Path | None = optional(kinds.file())
    session_ttl: timedelta = setting(kinds.duration("5m", "12h"), "1h")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSettings:
    """Access control.

    Attributes:
        mode: asked in this order; ``none`` alone lets everybody in.
        anonymous_name: of callers in mode ``none``.
        trusted_proxies: whose identity headers count.
        cache_ttl: how long an answer of the API server counts, except for ``admin``.
        stale_writes: how long an account goes on writing while the API server does not answer.
        audit_reads: whose reads of audit records leave an event.
        metrics_permission: what a scrape of the metrics port needs.
        public_ledger: whether checkpoints, tiles and keys of the ledger need nothing.
    """

    mode: tuple[str, ...] = setting(kinds.listing(kinds.choice(*MODES), least=1), "none")
    anonymous_name: str | None = optional(
        kinds.pattern(r"[^\x00-\x1f\x7f-\x9f]{1,255}", "at most 255 characters")
    )
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = setting(kinds.listing(kinds.network()), "")
    policy_file: Path | None = optional(kinds.file())
    tokens_file: Path | None = optional(kinds.file())
    kubernetes: KubernetesAuthSettings = field(default_factory=KubernetesAuthSettings)
    cache_ttl: timedelta = setting(kinds.duration("0s", "60s"), "10s")
    stale_writes: timedelta = setting(kinds.duration("0s", "1h"), "5m")
    audit_reads: str = setting(kinds.choice("off", "people", "all"), "off")
    metrics_permission: str = setting(kinds.choice("none", "read"), "none")
    public_ledger: bool = setting(kinds.flag(), "false")

    @property
    def takes_tokens(self) -> bool:
        """Whether a mode asks callers for a bearer token."""
        return not BEARER_MODES.isdisjoint(self.mode)
