"""``datastorage auth``: make a token, and find out what the service makes of one."""

import json
import re
import sys
import textwrap
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import click
import yaml

from datastorage.platform.access.caller import Caller
from datastorage.platform.access.control import AccessControl
from datastorage.platform.access.errors import AccessRefused
from datastorage.platform.access.identity import Kind
from datastorage.platform.access.permissions import GRANTABLE, Permission
from datastorage.platform.access.tokens import NAME_PATTERN, hash_of, new_token
from datastorage.platform.clock import utc_now
from datastorage.platform.commands import as_json_option, pass_settings, print_table
from datastorage.platform.watched import BadFileError
from datastorage.settings import Settings

_PERIOD = re.compile(r"([1-9][0-9]{0,4})([dh])")
_UNITS: Final = {"d": timedelta(days=1), "h": timedelta(hours=1)}
_KINDS = click.Choice([Kind.SERVICE.value, Kind.PERSON.value])

OpenControl = Callable[[Settings], AccessControl]


def build_group(open_control: OpenControl) -> click.Group:
    """Return the commands; ``open_control`` makes what the service asks about callers."""
    return click.Group(
        "auth",
        commands=[new_token_command, check],
        help="Access control: make tokens, try them.",
        context_settings={"obj": open_control},
    )


def _name(_ctx: click.Context, _parameter: click.Parameter, name: str) -> str:
    if not re.fullmatch(NAME_PATTERN, name):
        raise click.BadParameter("1 to 255 letters, digits or any of @._:/-")
    return name


def _expiry(_ctx: click.Context, _parameter: click.Parameter, period: str | None) -> datetime | None:
    if period is None:
        return None
    found = _PERIOD.fullmatch(period)
    if found is None:
        raise click.BadParameter("a number of days or hours, such as 90d or 12h")
    return (utc_now() + int(found[1]) * _UNITS[found[2]]).replace(microsecond=0)


@click.command("new-token")
@click.argument("name", callback=_name)
@click.option("--kind", type=_KINDS, default="service", show_default=True, help="What bears the token.")
@click.option(
    "--role",
    "roles",
    multiple=True,
    default=("writer",),
    show_default=True,
    help="May be given several times.",
)
@click.option("--expires", callback=_expiry, metavar="PERIOD", help="Such as 90d or 12h; never without it.")
@as_json_option
def new_token_command(
    name: str, kind: str, roles: tuple[str, ...], expires: datetime | None, *, as_json: bool
) -> None:
    """Make a token for NAME and print it once, with its entry for auth.tokens_file.

    Nothing is written anywhere: the file keeps a hash, and nobody can find the token in it.
    """
    token = new_token()
    entry: dict[str, object] = {"name": name, "kind": kind, "sha256": hash_of(token), "roles": list(roles)}
    if expires is not None:
        entry["expires"] = expires.isoformat().replace("+00:00", "Z")
    if as_json:
        click.echo(json.dumps({"token": token, "entry": entry}, indent=2))
        return
    click.echo(f"Token, shown only now: {token}\n\nUnder `tokens:` in auth.tokens_file:\n")
    click.echo(textwrap.indent(yaml.safe_dump([entry], sort_keys=False).rstrip(), "  "))


@click.command()
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The token; standard input without it.",
)
@as_json_option
@pass_settings
@click.pass_obj
def check(open_control: OpenControl, settings: Settings, *, token_file: Path | None, as_json: bool) -> None:
    """Ask the configured modes who bears a token, and what it may do.

    The token is read from a file or from standard input, never from an argument, which other users could see.
    Exits with 1 and the reason when it is refused.
    """
    token = sys.stdin.read() if token_file is None else token_file.read_text("utf-8")
    try:
        control = open_control(settings)
        caller = control.admit({"HTTP_AUTHORIZATION": f"Bearer {token.strip()}"}, Permission.IDENTITY)
        found = _members(caller)
    except BadFileError as error:
        raise click.ClickException(str(error)) from error
    except AccessRefused as refusal:
        raise click.ClickException(f"refused by mode {refusal.mode}: {refusal.reason}") from refusal
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        rows = ((name, text if isinstance(text, str) else ", ".join(text)) for name, text in found.items())
        print_table(list(rows))


def _members(caller: Caller) -> dict[str, str | list[str]]:
    identity = caller.identity
    return {
        "name": identity.name,
        "kind": identity.kind.value,
        "mode": identity.mode,
        "groups": list(identity.groups),
        "permissions": [each.value for each in GRANTABLE if caller.may(each)],
    }
