"""What has to hold between settings, and what is allowed but deserves a warning.

A check gets the values by path. It is skipped when one of them was refused: that is reported already,
and need not be reported again as too large for its neighbour.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from importlib.util import find_spec
from operator import ge, le, lt, ne
from typing import Any

from datastorage.settings.access import BEARER_MODES
from datastorage.settings.keys import Key

Values = Mapping[str, Any]
Checks = Mapping[str, Callable[[Values], bool]]
"""Problems, and what tells whether one is there."""

_BUSY_CLIENTS = 50  # parallel writers the service promises to answer
_USUAL_BATCH_SIZE = 1000
_MOST_WITNESSES = 15
_FEW_WAITING = 8  # the default, of which a worker with few threads lets fewer wait
_SECOND = timedelta(seconds=1)

_WORDS = {ne: "must differ from", ge: "must be at least", le: "must be at most", lt: "must be below"}
_RELATIONS = (
    ("server.metrics_port", ne, "server.port"),
    ("database.max_open_conns", ge, "server.workers"),
    ("database.max_idle_conns", le, "database.max_open_conns"),
    ("database.write_lock_timeout", lt, "audit.write_timeout"),
    ("redis.dlq_read_timeout", le, "redis.dlq_poll_interval"),
)
_PAIRS = (
    ("server.tls.cert_file", "server.tls.key_file"),
    ("database.ssl_cert", "database.ssl_key"),
    ("redis.tls.cert_file", "redis.tls.key_file"),
    ("redis.sentinel.master", "redis.sentinel.addrs"),
)


def refusals(keys: Mapping[str, Key], values: Values) -> Iterator[str]:
    """Yield what does not hold."""
    for path, holds, other in _RELATIONS:
        if {path, other} <= values.keys() and not holds(values[path], values[other]):
            yield keys[path].problem(f"{_WORDS[holds]} {keys[other].name}")
    for path, other in _PAIRS:
        if {path, other} <= values.keys() and bool(values[path]) != bool(values[other]):
            yield f"{keys[path].name} and {keys[other].name} must be set together"
    yield from _found(_REFUSALS, values)


def warnings(values: Values) -> Iterator[str]:
    """Yield what is doubtful."""
    return _found(_WARNINGS, values)


def _found(checks: Checks, values: Values) -> Iterator[str]:
    for text, is_there in checks.items():
        with suppress(KeyError):
            if is_there(values):
                yield text


def _lacks_telemetry() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is None
    except ModuleNotFoundError:  # not even the packages around it
        return True


def _names(mode: str, values: Values) -> bool:
    return mode in values["auth.mode"]


def _place(modes: Sequence[str], mode: str) -> int:
    return modes.index(mode) if mode in modes else len(modes)


_REFUSALS: Checks = {
    "auth.mode: none stands alone or last": lambda of: "none" in of["auth.mode"][:-1],
    "auth.mode names a mode twice": lambda of: len(set(of["auth.mode"])) < len(of["auth.mode"]),
    "auth.mode proxy needs auth.trusted_proxies": lambda of: (
        _names("proxy", of) and not of["auth.trusted_proxies"]
    ),
    "auth.mode proxy needs auth.policy_file": lambda of: (
        _names("proxy", of) and of["auth.policy_file"] is None
    ),
    "auth.mode: no mode may follow kubernetes that takes bearer tokens": lambda of: bool(
        {"jwt", "static"} & set(of["auth.mode"][_place(of["auth.mode"], "kubernetes") :])
    ),
    "auth.mode jwt needs auth.policy_file": lambda of: _names("jwt", of) and of["auth.policy_file"] is None,
    "auth.mode static needs auth.tokens_file": lambda of: (
        _names("static", of) and of["auth.tokens_file"] is None
    ),
    "database.ssl_root_cert is required when database.ssl_mode is verify-ca or verify-full": lambda of: (
        of["database.ssl_mode"].startswith("verify-") and not of["database.ssl_root_cert"]
    ),
    "invalid shutdown_total_budget: server.shutdown_total_budget must be at least"
    " server.endpoint_propagation_delay + 1s": lambda of: (
        of["server.shutdown_total_budget"] < of["server.endpoint_propagation_delay"] + _SECOND
    ),
    "server.body_budget_bytes must be at least 4/3 of server.max_body_bytes": lambda of: (
        of["server.body_budget_bytes"] is not None
        and 3 * of["server.body_budget_bytes"] < 4 * of["server.max_body_bytes"]
    ),
    "server.max_connections_per_address must be at most server.max_connections": lambda of: (
        of["server.max_connections_per_address"] > of["server.max_connections"]
    ),
    "server.max_slow_readers must be at most server.threads": lambda of: (
        of["server.max_slow_readers"] is not None and of["server.max_slow_readers"] > of["server.threads"]
    ),
    "limits.max_event_data_bytes must be at most half of redis.dlq_max_entry_bytes": lambda of: (
        2 * of["limits.max_event_data_bytes"] > of["redis.dlq_max_entry_bytes"]
    ),
    "ledger origin required": lambda of: (
        of["ledger.signing_key_file"] is not None and of["ledger.origin"] is None
    ),
    "ledger.max_waiting_writes must be at most half of server.threads": lambda of: (
        of["ledger.max_waiting_writes"] > max(of["server.threads"] // 2, _FEW_WAITING)
    ),
    "ledger.witnesses must be at most 15": lambda of: len(of["ledger.witnesses"]) > _MOST_WITNESSES,
    "ledger.publish and ledger.witnesses need ledger.signing_key_file": lambda of: (
        bool(of["ledger.publish"] or of["ledger.witnesses"]) and of["ledger.signing_key_file"] is None
    ),
    "ledger.next_key_file needs ledger.signing_key_file": lambda of: (
        of["ledger.next_key_file"] is not None and of["ledger.signing_key_file"] is None
    ),
    "telemetry.otlp_endpoint is required when telemetry.enabled is true": lambda of: (
        of["telemetry.enabled"] and not of["telemetry.otlp_endpoint"]
    ),
    "telemetry.enabled needs packages that are not installed:"
    " pip install 'datastorage[telemetry]'": lambda of: of["telemetry.enabled"] and _lacks_telemetry(),
    "security.strict refuses database.ssl_mode disable, allow and prefer": lambda of: (
        of["security.strict"] and of["database.ssl_mode"] in {"disable", "allow", "prefer"}
    ),
    "security.strict refuses * in server.cors_allowed_origins": lambda of: (
        of["security.strict"] and "*" in of["server.cors_allowed_origins"]
    ),
    "security.strict refuses logging.format console": lambda of: (
        of["security.strict"] and of["logging.format"] == "console"
    ),
}

_WARNINGS: Checks = {
    "server.tls.client_ca_file and server.tls.metrics have no effect"
    " without server.tls.cert_file": lambda of: (
        of["server.tls.cert_file"] is None
        and (of["server.tls.client_ca_file"] is not None or of["server.tls.metrics"])
    ),
    "server.workers x server.threads is below 50:"
    " fewer requests run at once than clients may send": lambda of: (
        of["server.workers"] * of["server.threads"] < _BUSY_CLIENTS
    ),
    "server.endpoint_propagation_delay is below 1s: requests may be lost when a pod stops": lambda of: (
        of["server.endpoint_propagation_delay"] < _SECOND
    ),
    "server.endpoint_propagation_delay + server.shutdown_timeout exceeds server.shutdown_total_budget:"
    " running requests get less than server.shutdown_timeout": lambda of: (
        of["server.endpoint_propagation_delay"] + of["server.shutdown_timeout"]
        > of["server.shutdown_total_budget"]
    ),
    "audit.max_batch_size is below 1000:"
    " existing clients send up to 1000 and drop a refused batch": lambda of: (
        of["audit.max_batch_size"] < _USUAL_BATCH_SIZE
    ),
    "console.session_key_file is unset: sessions end with the process, hold on one pod only": lambda of: (
        of["console.session_key_file"] is None and not BEARER_MODES.isdisjoint(of["auth.mode"])
    ),
    "redis.tls.enabled is false: security.strict wants passwords and queued records encrypted": lambda of: (
        of["security.strict"] and not of["redis.tls.enabled"]
    ),
}
