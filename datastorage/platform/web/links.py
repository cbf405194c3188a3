"""Links from an answer to what can be asked next, for the API document."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Link:
    """Where a client can go with what an answer holds: an operation, and a value for each parameter.

    The values are runtime expressions of OpenAPI, such as ``$response.body#/event_id``.
    """

    operation: str
    parameters: Mapping[str, str]
    description: str
