"""Searching a catalogue of workflows, and adding to it."""

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.types.json import Jsonb
from sqlalchemy import Text, cast, select

from bench.figures import Figure, Goal, figure
from bench.load import HttpTarget, Load, Request, SqlTarget, Statement
from bench.rounds import CLIENTS, Effort, by_turns, compare, failures, latencies, rates
from bench.stand import Stand, statement
from bench.wire import WireTarget
from datastorage.workflows import queries, ranking
from datastorage.workflows.schemas import NewWorkflowSchema, SearchSchema
from tests.support.workflow_builders import SEARCH, WORKFLOWS, a_search, a_workflow

if TYPE_CHECKING:
    from sqlalchemy import ClauseElement

CREATES_PER_ROUND = 200
CROWD = 20
SIGNALS = 39
WIDE_SHARE = 10
"""One workflow in so many is for one signal, severity and place, and matches one search."""

# A signal and severity have 58 workflows, of which a search matches about a third: 19.
_CATALOGUE = """
    INSERT INTO remediation_workflow_catalog (
        workflow_name, version, name, description, content, content_hash, labels, custom_labels,
        detected_labels, is_latest_version)
    SELECT 'workflow-' || n, 'v1.0.0', 'Workflow ' || n, repeat('frees what fills the disk; ', 4),
           repeat('kind: step', 100), repeat('0', 64),
           CASE WHEN mod(n, %(wide)s) = 0 THEN jsonb_build_object(
               'signal_type', 'Wide', 'severity', 'high', 'component', 'pod', 'environment', '*',
               'priority', '*')
           ELSE jsonb_build_object(
               'signal_type', 'Signal' || mod(n, %(signals)s),
               'severity', (ARRAY['critical', 'high', 'medium', 'low'])[mod(n / %(signals)s, 4) + 1],
               'component', (ARRAY['pod', 'node', 'deployment', '*'])[mod(n / 7, 4) + 1],
               'environment', (ARRAY['production', 'staging', '*'])[mod(n / 11, 3) + 1],
               'priority', (ARRAY['P1', '*'])[mod(n / 13, 2) + 1]) END,
           jsonb_build_object('team', jsonb_build_array('name=team-' || mod(n, 20))),
           jsonb_build_object('gitOpsManaged', mod(n, 2) = 0, 'stateful', mod(n, 3) = 0),
           true
    FROM generate_series(1, %(workflows)s::int) AS n
"""


def fill(url: str, workflows: int, *, signals: int = SIGNALS) -> None:
    """Load a catalogue in which every workflow is the latest of its name."""
    parameters = {"workflows": workflows, "signals": signals, "wide": WIDE_SHARE}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_CATALOGUE, parameters)


def measure(stand: Stand, effort: Effort) -> list[Figure]:
    """Run every scenario."""
    wide = [_search("Wide/high/pod/production/P1")]
    one_goals = {50: Goal(1.5, of="ratio"), 95: Goal(200)}
    busy_goals = {50: Goal(1.5, of="ratio"), 95: Goal(500), 99: Goal(1000)}
    crowd_goals = {50: None, 95: Goal(500), 99: Goal(1000)}
    return [
        *_searches(stand, effort, "workflow search, 1 client", _common(), one_goals, clients=1),
        *_searches(stand, effort, f"workflow search, {CLIENTS} clients", _common(), busy_goals),
        *_searches(stand, effort, "workflow search, 1,000 match", wide, {50: None, 95: None}, clients=1),
        *_searches(stand, effort, f"the same, {CROWD} clients", wide, crowd_goals, clients=CROWD),
        _creates(stand, effort),
    ]


def searches(url: str) -> WireTarget:
    """Common searches, each of another signal."""
    return _target(url, _common())


def _target(url: str, asked: list[dict[str, Any]]) -> WireTarget:
    return WireTarget(url, [Request("POST", SEARCH, json.dumps(each).encode()) for each in asked])


def _common() -> list[dict[str, Any]]:
    return [_search(f"Signal{number}/critical/pod/production/P1") for number in range(SIGNALS)]


def _search(mandatory: str) -> dict[str, Any]:
    detected, custom = {"gitOpsManaged": True, "stateful": False}, {"team": ["name=team-3"]}
    return a_search(mandatory, detected_labels=detected, custom_labels=custom, top_k=10)


def _searches(  # noqa: PLR0913 - one row of a table
    stand: Stand,
    effort: Effort,
    name: str,
    asked: list[dict[str, Any]],
    goals: dict[int, Goal | None],
    *,
    clients: int = CLIENTS,
) -> list[Figure]:
    schema = SearchSchema()
    selects = [[_candidates(ranking.parameters(schema.read(each)))] for each in asked]
    sides = _target(stand.service_url, asked), SqlTarget(stand.app_url, selects)
    return latencies(name, compare(name, stand, effort, sides, clients=clients), goals)


def _candidates(parameters: dict[str, Any]) -> Statement:
    """Return the plain statement that selects the workflows a search ranks, with what a rank depends on."""
    columns = ranking.WORKFLOWS.c
    labels = (cast(columns[name], Text) for name in ("labels", "custom_labels", "detected_labels"))
    made = statement(select(columns.workflow_id, columns.created_at, *labels).where(*ranking.MATCHES))
    return Statement(made.sql, {name: parameters[name] for name in made.parameters or ()})


def _creates(stand: Stand, effort: Effort) -> Figure:
    name = "workflows created one after another"
    pairs = by_turns(name, effort, partial(_create, stand), partial(_insert, stand))
    goal = Goal(200, is_least=True)
    return figure(name, "per minute", rates(pairs, factor=60), goal=goal, failed=failures(pairs))


def _create(stand: Stand, seconds: float) -> Load:
    bodies = [json.dumps(a_workflow()).encode() for _ in range(CREATES_PER_ROUND)]
    requests = [Request("POST", WORKFLOWS, body) for body in bodies]
    target = HttpTarget(stand.service_url, requests, repeats=False)
    return stand.generator.drive(target, clients=1, seconds=seconds)


def _insert(stand: Stand, seconds: float) -> Load:
    work = [_insertion() for _ in range(CREATES_PER_ROUND)]
    return stand.generator.drive(SqlTarget(stand.app_url, work, repeats=False), clients=1, seconds=seconds)


def _insertion() -> list[Statement]:
    """Return the statements of the transaction that adds one workflow."""
    schema = NewWorkflowSchema(maximum_bytes=10 << 20)
    workflow = schema.read(schema.decode(json.dumps(a_workflow()).encode()))
    expressions: tuple[ClauseElement, ...] = (
        queries.lock_name(workflow.workflow_name),
        queries.NOW,
        queries.demote_latest(workflow.workflow_name),
        queries.insert_latest(workflow),
    )
    return [_with_json(statement(expression)) for expression in expressions]


def _with_json(made: Statement) -> Statement:
    parameters = made.parameters or {}
    adapted = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in parameters.items()}
    return Statement(made.sql, adapted)
