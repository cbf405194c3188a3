"""``datastorage demo``: fills a running service with a believable story."""

import json
import shlex
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import click
import urllib3

from datastorage.demo import story
from datastorage.demo.sender import EVENTS, INCIDENTS, NOTIFICATIONS, Receipt, Sender, SendingFailed
from datastorage.demo.story import Story
from datastorage.platform.clock import utc_now


def _service_url(_context: click.Context, _option: click.Parameter, url: str) -> str:
    try:
        parts = urllib3.util.parse_url(url)
    except urllib3.exceptions.LocationParseError as error:
        raise click.BadParameter(str(error)) from error
    if parts.scheme not in {"http", "https"}:
        raise click.BadParameter("the URL needs http:// or https://")
    if parts.host is None:
        raise click.BadParameter("the URL needs a host")
    return url.rstrip("/")


@click.command()
@click.option(
    "--url",
    default="http://127.0.0.1:8080",
    show_default=True,
    callback=_service_url,
    help="Where the service is.",
)
@click.option(
    "--events",
    "count",
    type=click.IntRange(min=1),
    default=500,
    show_default=True,
    help="How many events; at least one of each type is sent.",
)
@click.option("--seed", default=1, show_default=True, help="Another number tells another story.")
def demo(url: str, count: int, seed: int) -> None:
    """Load sample data: a catalogue of workflows, and a week of remediations.

    Loading the same seed again on the same day changes nothing but adds what has happened since.
    """
    told = story.tell(seed, utc_now(), count)
    total = Receipt()
    records = len(told.workflows) + len(told.events) + len(told.notifications) + len(told.incidents)
    try:
        with closing(Sender(url)) as sender, click.progressbar(length=records, label="Sending") as progress:
            for receipt in _receipts(sender, told):
                total += receipt
                progress.update(receipt["sent"])
    except SendingFailed as error:
        raise click.ClickException(str(error)) from error
    _print_counts(told, total)
    _print_tour(url, told)


def _receipts(sender: Sender, told: Story) -> Iterator[Receipt]:
    """Workflows go first: everything else names them by the ids they are given."""
    ids: dict[str, str] = {}
    for workflow in told.workflows:
        receipt, ids[workflow.reference] = sender.register(workflow)
        yield receipt
    named = told.with_ids(ids)
    yield from sender.send_batches(EVENTS, named.events)
    yield from sender.send_each(NOTIFICATIONS, named.notifications)
    yield from sender.send_batches(INCIDENTS, named.incidents)


def _print_counts(told: Story, receipt: Receipt) -> None:
    rows = {
        **dict(Counter(event["event_category"] for event in told.events).most_common()),
        "delivery records": len(told.notifications),
        "incidents": len(told.incidents),
        "workflow versions": len(told.workflows),
        "together": receipt["sent"],
    }
    click.echo()
    for name, number in rows.items():
        click.echo(f"  {name:18} {number:7}")
    if receipt["known"]:
        click.echo(f"\n{receipt['known']} of them were stored before.")
    if receipt["queued"]:
        click.echo(f"\n{receipt['queued']} of them wait in the queue: the service has lost its database.")


def _print_tour(url: str, told: Story) -> None:
    events = f"{url}/api/v1/audit/events"
    failure = next((e for e in reversed(told.events) if e["event_outcome"] == "failure"), told.events[-1])
    search = shlex.quote(json.dumps(told.search))
    signal = told.search["filters"]["signal_type"]
    click.echo(f"""
One remediation from the first signal on, with an event of every type:

  curl -s '{events}?correlation_id={told.tour}&order=asc'

The latest failure, and everything that led to it:

  curl -s '{events}/{failure["event_id"]}'
  curl -s '{events}?correlation_id={failure["correlation_id"]}&order=asc'

Remediations that did not help, found by their payload:

  curl -s '{events}?event_type=effectivenessmonitor.evaluation.completed&event_data.issue_resolved=false'

Which workflow helps against the signal of that first remediation, and why not the others:

  curl -s '{url}/api/v1/workflows/search' -H 'Content-Type: application/json' -d {search}

What ran against that signal in the last week, and how often it helped:

  curl -s '{url}/api/v1/success-rate/incident-type?incident_type={signal}'
""")
