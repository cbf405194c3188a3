"""Options that several commands share."""

import re
from datetime import timedelta
from typing import Any, Final

import click
from marshmallow import ValidationError

from datastorage.dlq.entry import Stream
from datastorage.settings.kinds import parse_duration

_ENTRY_ID: Final = re.compile("[0-9]{1,20}(-[0-9]{1,20})?")


class DurationType(click.ParamType[timedelta]):
    """A duration as the settings have them: ``90s``, ``5m``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the duration, or fail with what is wrong with it."""
        try:
            return value if isinstance(value, timedelta) else parse_duration(value)
        except ValidationError as error:
            self.fail(str(error), param, ctx)


class EntryIdType(click.ParamType[str]):
    """The id that Redis gave an entry; the second part may be missing."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the id, or fail: Redis would understand more than an id here."""
        if _ENTRY_ID.fullmatch(str(value)) is None:
            self.fail("must be the id of an entry, such as 1767225600000-0", param, ctx)
        return str(value)


as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
stream_option = click.option(
    "--stream", type=click.Choice([stream.value for stream in Stream]), required=True, help="Which queue."
)
dead_option = click.option("--dead", is_flag=True, help="The dead letters instead of the queue.")
id_option = click.option("--id", "entry_id", type=EntryIdType(), required=True, help="Id of the entry.")
