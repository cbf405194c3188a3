"""Who did it. A person writes under no other name; whom its request named instead is kept as a claim. Pure.

Services name whom they act for, so what they send stays as it is.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from datastorage.audit.event import AuditEvent
from datastorage.platform.access.identity import Identity
from datastorage.platform.web import json

USER: Final = "user"
"""The ``actor_type`` of people."""

CLAIMED_ACTOR: Final = "claimed_actor"
REQUESTED_BY: Final = "requested_by"

_METADATA = msgspec.json.Decoder(dict[str, msgspec.Raw])


def attributed(event: AuditEvent, identity: Identity) -> AuditEvent:
    """Return an event with its true actor, to be stored or queued: replay then keeps it.

    Args:
        event: as it was sent; its limits are judged.
        identity: who sent it.
    """
    if not identity.is_person:
        return event
    return replace(
        event,
        actor_type=USER,
        actor_id=identity.name,
        event_metadata=_metadata(event.event_metadata, _claim(event, identity.name)),
    )


def _claim(event: AuditEvent, name: str) -> dict[str, str]:
    """Return what the body said of the actor, nothing if that is true."""
    claim: dict[str, str] = {}
    if event.has_client_actor_type:
        claim["type"] = event.actor_type
    if event.has_client_actor_id:
        claim["id"] = event.actor_id
    is_true = claim.get("type", USER) == USER and claim.get("id", name) == name
    return {} if is_true else claim


def _metadata(sent: str | None, claim: dict[str, str]) -> str | None:
    """Return the metadata with the claim, and without one that the sender made up."""
    if sent is None and not claim:
        return None
    # Raw members: what is inside them stays digit by digit as it is.
    members = {} if sent is None else _METADATA.decode(sent)
    members.pop(CLAIMED_ACTOR, None)
    if claim:
        members[CLAIMED_ACTOR] = msgspec.Raw(json.encode(claim))
    return json.encode(members).decode("utf-8")


def metadata_of_request(identity: Identity, named: Iterable[str | None]) -> str:
    """Return the metadata of an event that the service writes about a request.

    Args:
        identity: who sent the request.
        named: whom its body names; of a person the first other name is kept as a claim.
    """
    metadata: dict[str, Any] = {REQUESTED_BY: {"name": identity.name, "kind": identity.kind}}
    others = [each for each in named if each and each != identity.name]
    if identity.is_person and others:
        metadata[CLAIMED_ACTOR] = {"id": others[0]}
    return json.encode(metadata).decode("utf-8")
