"""``datastorage demo``: fills a running service with a believable story."""

import click


@click.command()
def demo() -> None:
    """Load sample data."""
