"""Mode ``jwt``: tokens that an issuer has signed, such as those of an OpenID Connect provider."""

from collections.abc import Mapping
from typing import Any, Final

import jwt

from datastorage.platform.access.caller import Granted
from datastorage.platform.access.claims import claims_of, expiry_of
from datastorage.platform.access.credentials import Credentials
from datastorage.platform.access.errors import AccessUnknown, Unauthorized
from datastorage.platform.access.identity import MAX_GROUPS, Identity, is_name, kind_of
from datastorage.platform.access.keys import IssuerKeys, KeysUnknownError
from datastorage.platform.access.permissions import Permission
from datastorage.platform.access.policy import Issuer, PolicyFile

NAME: Final = "jwt"
LEEWAY_SECONDS: Final = 30
"""How far the clocks of issuer and service may differ."""
RESERVED: Final = "system:"
"""Names that only a Kubernetes API server gives."""

_Claims = Mapping[str, Any]


class JwtMode:
    """Takes tokens whose claim ``iss`` names a configured issuer.

    Args:
        policy: the issuers, and what users and groups may do.
        keys: of the issuers.
    """

    name = NAME

    def __init__(self, policy: PolicyFile, keys: IssuerKeys) -> None:
        self._policy = policy
        self._keys = keys

    @property
    def is_backend_failing(self) -> bool:
        """Whether the newest fetch of keys failed."""
        return self._keys.are_failing

    def recognise(self, credentials: Credentials, permission: Permission) -> Granted | None:
        """Return the caller that the token names, with what the bindings allow.

        Raises:
            Unauthorized: the token is not good.
            AccessUnknown: the keys of its issuer cannot be fetched.
        """
        token = credentials.token
        named = claims_of(token).get("iss") if token else None
        issuer = self._policy.value.issuers.get(named) if isinstance(named, str) else None
        if token is None or issuer is None:
            return None
        if permission is Permission.ADMIN:
            self._policy.look()
        claims = self._verified(token, issuer)
        identity = _identity(claims, issuer)
        permissions = self._policy.value.permissions_of(identity)
        return Granted(identity, permissions, expires_at=expiry_of(claims))

    def _verified(self, token: str, issuer: Issuer) -> _Claims:
        try:
            key = self._keys.find(issuer, jwt.get_unverified_header(token).get("kid"))
            if key is None:
                raise Unauthorized.bad_token("invalid_token", NAME)
            claims: _Claims = jwt.decode(
                token,
                key.public,
                algorithms=key.algorithms,
                audience=issuer.audience,
                issuer=issuer.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud"]},
            )
        except KeysUnknownError as error:
            raise AccessUnknown(NAME) from error
        except jwt.ExpiredSignatureError as error:
            raise Unauthorized.bad_token("expired_token", NAME) from error
        except jwt.InvalidAudienceError as error:
            raise Unauthorized.bad_token("invalid_token_audience", NAME) from error
        except jwt.PyJWTError as error:
            raise Unauthorized.bad_token("invalid_token", NAME) from error
        return claims


def _identity(claims: _Claims, issuer: Issuer) -> Identity:
    """Return who the claims name.

    Raises:
        Unauthorized: there is no name that a caller may have.
    """
    user, groups = _claim(claims, issuer.username_claim), _claim(claims, issuer.groups_claim) or []
    named = [groups] if isinstance(groups, str) else groups
    if not isinstance(user, str) or not isinstance(named, list) or not all(map(is_name, named)):
        raise Unauthorized.bad_token("invalid_token", NAME)
    name = issuer.prefix + user
    if not is_name(name) or RESERVED in {name[: len(RESERVED)], user[: len(RESERVED)]}:
        raise Unauthorized.bad_token("invalid_token", NAME)
    if len(named) > MAX_GROUPS:
        raise Unauthorized.bad_token("invalid_token", NAME)
    prefixed = tuple(issuer.prefix + group for group in named)
    return Identity(name=name, kind=kind_of(name, issuer.kind), mode=NAME, groups=prefixed)


def _claim(claims: _Claims, path: str) -> Any:
    """Return the claim at a dotted path, ``None`` where there is none; a name with dots wins as it is."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found
