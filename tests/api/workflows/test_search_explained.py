"""``explain`` on a search: what each label contributed, and what kept the closest others out."""

from typing import Any

import pytest

from tests.support.builders import unique
from tests.support.http import Api
from tests.support.workflow_builders import SEARCH, a_plain_workflow, a_search, register


@pytest.fixture
def signal() -> str:
    return unique("Explained")


def explained(api: Api, signal: str, **members: Any) -> Any:
    answer = api.post(SEARCH, a_search(f"{signal}/high/pod/production/P1", explain=True, **members))
    assert answer.status == 200
    return answer.json


def labelled(api: Api, mandatory: str, **fields: Any) -> str:
    workflow_id: str = register(api, **a_plain_workflow(mandatory, **fields))["workflow_id"]
    return workflow_id


def reasons_in(answer: Any) -> dict[str, list[str]]:
    return {each["workflow_id"]: [why["label"] for why in each["reasons"]] for each in answer["rejected"]}


def test_answer_is_not_explained_unless_asked(api: Api, signal: str) -> None:
    labelled(api, f"{signal}/high/pod/production/P1")

    answer = api.post(SEARCH, a_search(f"{signal}/high/pod/production/P1")).json

    assert "rejected" not in answer
    assert "explanation" not in answer["workflows"][0]


def test_every_label_says_what_it_contributed(api: Api, signal: str) -> None:
    labelled(
        api,
        f"{signal}/high/*/production/P1",
        detected_labels={"gitOpsTool": "argocd"},
        custom_labels={"team": ["*"]},
    )

    answer = explained(
        api,
        signal,
        detected_labels={"gitOpsTool": "flux", "stateful": True},
        custom_labels={"team": ["name=payments"], "region": ["eu"]},
    )

    found = answer["workflows"][0]
    assert [(each["label"], each["match"], each["points"]) for each in found["explanation"]] == [
        ("signal_type", "exact", 1.0),
        ("severity", "exact", 1.0),
        ("component", "wildcard", 0.5),
        ("environment", "exact", 1.0),
        ("priority", "exact", 1.0),
        ("gitOpsTool", "none", 0.0),
        ("gitOpsTool", "none", -0.1),
        ("stateful", "none", 0.0),
        ("custom_labels.team", "wildcard", 0.025),
        ("custom_labels.region", "none", 0.0),
    ]
    assert found["explanation"][5] == {
        "label": "gitOpsTool",
        "part": "detected",
        "searched": "flux",
        "declared": "argocd",
        "match": "none",
        "points": 0.0,
    }
    assert sum(each["points"] for each in found["explanation"]) / 10 == pytest.approx(found["final_score"])


def test_rejected_workflows_say_what_kept_them_out(api: Api, signal: str) -> None:
    disabled = labelled(api, f"{signal}/high/pod/production/P1", status="disabled")
    two_reasons = labelled(api, f"{signal}/low/node/production/P1")
    other_component = labelled(api, f"{signal}/high/node/production/P1")
    found = labelled(api, f"{signal}/high/pod/production/P1")

    answer = explained(api, signal)

    assert [each["workflow_id"] for each in answer["workflows"]] == [found]
    assert reasons_in(answer) == {
        disabled: ["status"],
        other_component: ["component"],
        two_reasons: ["severity", "component"],
    }
    assert [each["workflow_id"] for each in answer["rejected"]] == [disabled, other_component, two_reasons]
    assert answer["rejected"][1]["reasons"] == [{"label": "component", "searched": "pod", "declared": "node"}]
    assert answer["rejected"][1]["final_score"] == 0.4


def test_score_that_is_too_low_is_a_reason(api: Api, signal: str) -> None:
    low = labelled(api, f"{signal}/high/*/*/*")

    answer = explained(api, signal, min_score=0.4)

    assert answer["total_results"] == 0
    assert reasons_in(answer) == {low: ["min_score"]}
    assert answer["rejected"][0]["reasons"] == [{"label": "min_score", "searched": 0.4, "declared": 0.35}]


def test_signal_in_another_letter_case_is_the_reason(api: Api, signal: str) -> None:
    other_case = labelled(api, f"{signal}/high/pod/production/P1")

    answer = explained(api, signal, signal_type=signal.lower())

    assert reasons_in(answer) == {other_case: ["signal_type"]}


def test_what_top_k_cut_off_was_not_rejected(api: Api, signal: str) -> None:
    for _ in range(3):
        labelled(api, f"{signal}/high/pod/production/P1")

    answer = explained(api, signal, top_k=1)

    assert answer["total_results"] == 3
    assert answer["rejected"] == []


def test_ten_rejections_are_enough(api: Api, signal: str) -> None:
    for _ in range(11):
        labelled(api, f"{signal}/low/pod/production/P1")

    assert len(explained(api, signal)["rejected"]) == 10


def test_explanation_knows_nothing_of_other_signals(api: Api, signal: str) -> None:
    labelled(api, f"{unique('Other')}/high/pod/production/P1")

    assert explained(api, signal)["rejected"] == []
