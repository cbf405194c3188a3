"""``datastorage dlq``: look into the queue, bring records back, discard dead letters.

Nothing here deletes from the queue. The commands need what this feature must not know, how a record is
written again and how the audit trail is told about a discard: ``build_group`` is handed both.
"""

import click

from datastorage.dlq.cli.backing import Backing
from datastorage.dlq.cli.looking import list_, show, status
from datastorage.dlq.cli.moving import discard, replay


def build_group(backing: Backing) -> click.Group:
    """Return the commands, working with ``backing``."""
    return click.Group(
        "dlq",
        commands=[status, list_, show, replay, discard],
        help="Queued audit records: look, replay, discard what is given up.",
        context_settings={"obj": backing},
    )
