"""Access control: the modes that the settings name, in their order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Final

from limits.storage import RedisStorage

from datastorage.platform.access.caller import Mode
from datastorage.platform.access.control import AccessControl
from datastorage.platform.access.files import LOOK_INTERVAL, AccessFiles
from datastorage.platform.access.keys import FETCH_INTERVAL, IssuerKeys
from datastorage.platform.access.modes.jwt import JwtMode
from datastorage.platform.access.modes.kubernetes import KubernetesMode
from datastorage.platform.access.modes.none import NoneMode
from datastorage.platform.access.modes.proxy import ProxyMode
from datastorage.platform.access.modes.static import StaticMode
from datastorage.platform.access.permissions import Permission
from datastorage.platform.access.policy import PolicyFile
from datastorage.platform.access.quotas import Quotas
from datastorage.platform.access.rates import KEY_PREFIX, RateLimit
from datastorage.platform.access.reviews import Reviews
from datastorage.platform.access.tokens import TokensFile
from datastorage.platform.clock import Clock, utc_now
from datastorage.platform.loop import Loop
from datastorage.platform.metrics import Metrics
from datastorage.platform.redis import redis_client
from datastorage.platform.web.refusals import Refusals
from datastorage.settings import AuthSettings, Rate, RedisSettings, Settings
from datastorage.wiring.services import Services

ANONYMOUS: Final = "anonymous"
LIMIT_TIMEOUT: Final = timedelta(milliseconds=20)
STRANGERS_SHARE: Final = 4
"""Unknown tokens may hold one of so many request threads."""


def add_access(services: Services, settings: Settings, files: AccessFiles, clock: Clock) -> None:
    """Add access control."""
    metrics = services[Metrics]
    parts = _Parts(services, settings, files, clock)
    is_scrape_open = settings.auth.metrics_permission == "none"
    control = AccessControl(
        [MODES[name](parts) for name in settings.auth.mode],
        metrics,
        metrics_permission=Permission.NOTHING if is_scrape_open else Permission.READ,
    )
    services.add(control, Refusals(metrics), _quotas(services, settings))

    def look() -> None:
        files.look()
        metrics.auth_policy_valid.set(files.are_valid)

    services.loops.append(Loop("access files", look, LOOK_INTERVAL))


def control_of(settings: Settings) -> AccessControl:
    """Return access control for the time of one command.

    Raises:
        BadFileError: the policy or the tokens cannot be used.
    """
    services = Services()
    services.add(Metrics())
    files = AccessFiles(settings.auth.policy_file, settings.auth.tokens_file)
    add_access(services, settings, files, utc_now)
    return services[AccessControl]


def _quotas(services: Services, settings: Settings) -> Quotas:
    metrics = services[Metrics]
    shared = (
        partial(_shared_storage, services, settings.redis) if settings.rate_limit.storage == "redis" else None
    )

    def limit(policy: str, rate: Rate | None) -> RateLimit | None:
        return None if rate is None else RateLimit(policy, rate, settings.server.workers, shared, metrics)

    is_open = settings.auth.mode == ("none",)
    return Quotas(
        failures=None if is_open else limit("failures", settings.rate_limit.failures),
        reads=limit("read", settings.rate_limit.reads),
        writes=limit("write", settings.rate_limit.writes),
        write_status=int(settings.rate_limit.write_status),
        is_trusted_proxy=settings.server.is_trusted_proxy,
        metrics=metrics,
    )


def _shared_storage(services: Services, settings: RedisSettings) -> RedisStorage:
    """Return a storage in the configured Redis, with patience for a few milliseconds."""
    client = redis_client(replace(settings, connect_timeout=LIMIT_TIMEOUT, socket_timeout=LIMIT_TIMEOUT))
    services.closers.append(client.close)
    pool = client.connection_pool
    return RedisStorage("redis://", connection_pool=pool, key_prefix=KEY_PREFIX)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What modes are made of; the settings were checked to name the files that each of them needs."""

    services: Services
    settings: Settings
    files: AccessFiles
    clock: Clock

    @property
    def auth(self) -> AuthSettings:
        return self.settings.auth

    @property
    def policy(self) -> PolicyFile:
        assert self.files.policy is not None
        return self.files.policy

    @property
    def tokens(self) -> TokensFile:
        assert self.files.tokens is not None
        return self.files.tokens


def _none(parts: _Parts) -> Mode:
    return NoneMode(parts.auth.anonymous_name or ANONYMOUS, is_alone=parts.auth.mode == ("none",))


def _proxy(parts: _Parts) -> Mode:
    return ProxyMode(parts.auth.trusted_proxies, parts.policy)


def _kubernetes(parts: _Parts) -> Mode:
    metrics = parts.services[Metrics]
    reviews = Reviews(parts.auth.kubernetes, metrics)
    parts.services.closers.append(reviews.close)
    strangers = max(1, parts.settings.server.threads // STRANGERS_SHARE)
    return KubernetesMode(parts.auth, reviews, metrics, parts.clock, strangers=strangers)


def _jwt(parts: _Parts) -> Mode:
    keys = IssuerKeys(parts.policy, parts.services[Metrics])
    parts.services.loops.append(Loop("issuer keys", keys.fetch_all, FETCH_INTERVAL))
    return JwtMode(parts.policy, keys)


def _static(parts: _Parts) -> Mode:
    return StaticMode(parts.tokens, parts.clock)


MODES: Final[Mapping[str, Callable[[_Parts], Mode]]] = {
    "none": _none,
    "proxy": _proxy,
    "kubernetes": _kubernetes,
    "jwt": _jwt,
    "static": _static,
}
