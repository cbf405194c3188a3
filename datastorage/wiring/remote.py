"""What only some installations need, with the libraries for it: modes that ask others, limits, sessions."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final

from limits.storage import Storage

from datastorage.platform.access.caller import Mode
from datastorage.platform.access.counting import RateLimit, shared_storage
from datastorage.platform.access.keys import FETCH_INTERVAL, IssuerKeys
from datastorage.platform.access.modes.jwt import JwtMode
from datastorage.platform.access.modes.kubernetes import KubernetesMode
from datastorage.platform.access.reviews import Reviews
from datastorage.platform.access.sealing import Seal
from datastorage.platform.loop import Loop
from datastorage.platform.metrics import Metrics
from datastorage.platform.redis import redis_client
from datastorage.settings import Rate, Settings
from datastorage.wiring.parts import Parts
from datastorage.wiring.services import Services

__all__ = ["Seal", "jwt", "kubernetes", "rate_limit"]

LIMIT_TIMEOUT: Final = timedelta(milliseconds=20)
STRANGERS_SHARE: Final = 4
"""Unknown tokens may hold one of so many request threads."""


def kubernetes(parts: Parts) -> Mode:
    """Return the mode that asks an API server."""
    metrics = parts.services[Metrics]
    reviews = Reviews(parts.auth.kubernetes, metrics)
    parts.services.closers.append(reviews.close)
    return KubernetesMode(parts.auth, reviews, metrics, parts.clock, _strangers(parts))


def jwt(parts: Parts) -> Mode:
    """Return the mode that fetches the keys of issuers."""
    keys = IssuerKeys(parts.policy, parts.services[Metrics], _strangers(parts))
    parts.services.loops.append(Loop("issuer keys", keys.fetch_all, FETCH_INTERVAL))
    return JwtMode(parts.policy, keys)


def _strangers(parts: Parts) -> int:
    return max(1, parts.settings.server.threads // STRANGERS_SHARE)


def rate_limit(services: Services, settings: Settings, policy: str, rate: Rate) -> RateLimit:
    """Return a limit, counted where the settings say."""
    shared = _shared(services, settings) if settings.rate_limit.storage == "redis" else None
    return RateLimit(policy, rate, settings.server.workers, shared, services[Metrics])


def _shared(services: Services, settings: Settings) -> Callable[[], Storage]:
    """Return what makes a storage in the configured Redis, with patience for a few milliseconds."""
    impatient = replace(settings.redis, connect_timeout=LIMIT_TIMEOUT, socket_timeout=LIMIT_TIMEOUT)

    def make() -> Storage:
        client = redis_client(impatient)
        services.closers.append(client.close)
        return shared_storage(client)

    return make
