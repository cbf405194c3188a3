"""Who reaches whom under the network policies, decided as Kubernetes decides it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

from tests.guards.manifests import Labels, Object, Rendering, complete, matches

OURS = {"kubernetes.io/metadata.name": "datastorage"}


@dataclass(frozen=True)
class End:
    """A pod, as rules see it; or, with an address, something that is no pod."""

    labels: Labels
    namespace: Labels = field(default_factory=lambda: OURS)
    address: str | None = None


def reaches(source: End, target: End, port: int, *, among: Rendering | None = None) -> bool:
    """Tell whether the rules of ``target`` let ``source`` in."""
    return is_allowed(among or complete(), "Ingress", of=target, other=source, port=(port, "TCP"))


def leaves(
    source: End, target: End, port: int, protocol: str = "TCP", *, among: Rendering | None = None
) -> bool:
    """Tell whether the rules of ``source`` let it talk to ``target``."""
    return is_allowed(among or complete(), "Egress", of=source, other=target, port=(port, protocol))


def is_allowed(rendering: Rendering, direction: str, *, of: End, other: End, port: tuple[int, str]) -> bool:
    """Evaluate the policies as Kubernetes does: none selects the pod, or one rule of one of them matches."""
    policies = [
        policy.spec
        for policy in rendering.of_kind("NetworkPolicy")
        if selects(policy.spec["podSelector"], of.labels) and direction in policy.spec["policyTypes"]
    ]
    assert policies, "no policy selects the pod: everything is allowed"
    rules = [rule for policy in policies for rule in policy.get(direction.lower(), ())]
    return any(covers(rule, direction, other, port) for rule in rules)


def selects(selector: Mapping[str, Any], labels: Labels) -> bool:
    """Tell whether a selector means pods with these labels; of the expressions, ours use ``In``."""
    expressions = selector.get("matchExpressions", ())
    assert {each["operator"] for each in expressions} <= {"In"}
    return matches(selector.get("matchLabels", {}), labels) and all(
        labels.get(each["key"]) in each["values"] for each in expressions
    )


def covers(rule: Mapping[str, Any], direction: str, other: End, port: tuple[int, str]) -> bool:
    ports = [(each["port"], each.get("protocol", "TCP")) for each in rule.get("ports", ())]
    peers = rule.get("from" if direction == "Ingress" else "to", ())
    return (not ports or port in ports) and (not peers or any(is_peer(peer, other) for peer in peers))


def is_peer(peer: Mapping[str, Any], end: End) -> bool:
    if "ipBlock" in peer or end.address:
        cidr = peer.get("ipBlock", {}).get("cidr")
        return bool(cidr and end.address) and ip_address(end.address or "") in ip_network(cidr)
    # Without a namespace selector a peer means pods of the policy's own namespace.
    namespaces = peer["namespaceSelector"].get("matchLabels", {}) if "namespaceSelector" in peer else OURS
    return matches(namespaces, end.namespace) and selects(peer.get("podSelector", {}), end.labels)


def peers_of(policy: Object) -> Iterator[dict[str, Any]]:
    """Yield everything that the rules of a policy name."""
    for rule in (*policy.spec.get("ingress", ()), *policy.spec.get("egress", ())):
        yield from (*rule.get("from", ()), *rule.get("to", ()))
