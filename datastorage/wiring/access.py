"""Access control: the modes that the settings name, in their order, the limits, and sessions."""

from collections.abc import Callable, Mapping
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Final

from datastorage.platform.access.caller import Mode
from datastorage.platform.access.control import AccessControl
from datastorage.platform.access.files import LOOK_INTERVAL, AccessFiles
from datastorage.platform.access.modes.none import NoneMode
from datastorage.platform.access.modes.proxy import ProxyMode
from datastorage.platform.access.modes.static import StaticMode
from datastorage.platform.access.permissions import Permission
from datastorage.platform.access.quotas import Quotas
from datastorage.platform.access.sessions import Sessions
from datastorage.platform.clock import Clock, utc_now
from datastorage.platform.loop import Loop
from datastorage.platform.metrics import Metrics
from datastorage.platform.web.refusals import Refusals
from datastorage.settings import Rate, Settings
from datastorage.wiring.parts import Parts
from datastorage.wiring.services import Services

if TYPE_CHECKING:
    from datastorage.platform.access.counting import RateLimit

ANONYMOUS: Final = "anonymous"
REMOTE: Final = "datastorage.wiring.remote"
"""By name: its libraries take a tenth of a second to load, and an installation without tokens needs none."""


def add_access(services: Services, settings: Settings, files: AccessFiles, clock: Clock) -> None:
    """Add access control."""
    metrics = services[Metrics]
    parts = Parts(services, settings, files, clock)
    is_scrape_open = settings.auth.metrics_permission == "none"
    control = AccessControl(
        [MODES[name](parts) for name in settings.auth.mode],
        metrics,
        metrics_permission=Permission.NOTHING if is_scrape_open else Permission.READ,
        is_ledger_public=settings.auth.public_ledger,
    )
    services.add(control, Refusals(metrics), _quotas(services, settings), _sessions(parts))

    def look() -> None:
        files.look()
        metrics.auth_policy_valid.set(files.are_valid)

    services.loops.append(Loop("access files", look, LOOK_INTERVAL))


def control_of(settings: Settings) -> AccessControl:
    """Return access control for the time of one command.

    Raises:
        BadFileError: the policy, the tokens or the keys of sessions cannot be used.
    """
    services = Services()
    services.add(Metrics())
    files = AccessFiles(settings.auth, settings.console)
    add_access(services, settings, files, utc_now)
    return services[AccessControl]


def _quotas(services: Services, settings: Settings) -> Quotas:
    def limit(policy: str, rate: Rate | None) -> "RateLimit | None":
        make = resolve_name(f"{REMOTE}:rate_limit") if rate is not None else None
        return make and make(services, settings, policy, rate)

    is_open = settings.auth.mode == ("none",)
    return Quotas(
        failures=None if is_open else limit("failures", settings.rate_limit.failures),
        reads=limit("read", settings.rate_limit.reads),
        writes=limit("write", settings.rate_limit.writes),
        write_status=int(settings.rate_limit.write_status),
        is_trusted_proxy=settings.server.is_trusted_proxy,
        metrics=services[Metrics],
    )


def _sessions(parts: Parts) -> Sessions:
    settings, keys = parts.settings, parts.files.session_keys
    return Sessions(
        keys=keys,
        seal=resolve_name(f"{REMOTE}:Seal")(keys) if settings.auth.takes_tokens else None,
        longest=settings.console.session_ttl,
        is_trusted_proxy=settings.server.is_trusted_proxy,
        clock=parts.clock,
    )


def _none(parts: Parts) -> Mode:
    return NoneMode(parts.auth.anonymous_name or ANONYMOUS, is_alone=parts.auth.mode == ("none",))


def _proxy(parts: Parts) -> Mode:
    return ProxyMode(parts.auth.trusted_proxies, parts.policy)


def _static(parts: Parts) -> Mode:
    return StaticMode(parts.tokens, parts.clock)


def _remote(name: str) -> Callable[[Parts], Mode]:
    def make(parts: Parts) -> Mode:
        mode: Mode = resolve_name(f"{REMOTE}:{name}")(parts)
        return mode

    return make


MODES: Final[Mapping[str, Callable[[Parts], Mode]]] = {
    "none": _none,
    "proxy": _proxy,
    "kubernetes": _remote("kubernetes"),
    "jwt": _remote("jwt"),
    "static": _static,
}
