"""``python -m tests.hostile``: list the attempts of the hostile round."""

import click

from tests.hostile.attempts import attempts

ROW = "{:>4}  {:<28}  {:<42}  {}"

if __name__ == "__main__":
    click.echo(ROW.format("", "ATTEMPT", "SHOWN", "REQUEST LINE"))
    for number, each in enumerate(attempts(), 1):
        click.echo(ROW.format(number, each.what, each.credential, each.line))
