"""``datastorage dlq``, with hand-written collaborators for the database and the audit trail."""

import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner, Result

from datastorage.dlq.cli import build_group
from datastorage.dlq.cli.backing import Backing, Discard, Replaying
from datastorage.dlq.entry import EntryType
from datastorage.dlq.replay import Replayed, Replayer
from datastorage.dlq.stream import RedisQueue
from datastorage.errors import QueueUnusable
from datastorage.settings import RedisSettings, Settings
from tests.support.pods import EVENTS, NO_PARTITION, NOTIFICATIONS, Pod, connect


@dataclass
class Case:
    """The commands, and what they are handed."""

    pod: Pod
    url: str
    discards: list[Discard] = field(default_factory=list)
    can_record: bool = True

    def connect(self, settings: RedisSettings) -> redis.Redis:
        return connect(f"redis://{settings.addr}/{settings.db}", password=settings.password)

    @contextmanager
    def replaying(self, settings: Settings, queue: RedisQueue) -> Iterator[Replaying]:
        replays = dict.fromkeys(EntryType, self.pod.archive.write)
        replayer = Replayer(queue, replays, settings.redis, self.pod.metrics, self.pod.clock)
        yield Replaying(replayer, lambda: self.pod.is_database_up, self.pod.metrics)

    def record_discard(self, _settings: Settings, discard: Discard) -> None:
        if not self.can_record:
            raise QueueUnusable("database and DLQ both unavailable - please retry")
        self.discards.append(discard)

    def run(self, *arguments: str, answer: str | None = None) -> Result:
        group = build_group(
            Backing(connect=self.connect, replaying=self.replaying, record_discard=self.record_discard)
        )
        environ = {
            "DATASTORAGE_DATABASE_URL": "postgresql://app:x@127.0.0.1:1/none",
            "DATASTORAGE_REDIS_URL": self.url,
        }
        return CliRunner().invoke(group, arguments, input=answer, env=environ)

    def run_json(self, *arguments: str) -> Any:
        result = self.run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def bury(self, outcome: Replayed = Replayed.CONFLICT, **fields: Any) -> str:
        """Make one dead letter of an event and return the event's id."""
        [event_id] = self.pod.park_events(1, **fields)
        self.pod.archive.outcomes = iter([outcome])
        self.pod.worker().run_cycle()
        return event_id

    def letter_ids(self) -> list[str]:
        found: Any = self.pod.client.xrange("audit:dead-letter:events")
        return [entry_id.decode() for entry_id, _fields in found]


@pytest.fixture
def case(pod: Pod, queue_url: str) -> Case:
    return Case(pod, queue_url)


def test_status_of_an_empty_queue(case: Case) -> None:
    result = case.run("status")

    lines = [line.split() for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert lines[0] == ["STREAM", "DEPTH", "MAX", "RATIO", "PARKED", "PENDING", "DEAD", "LETTERS", "OLDEST"]
    assert lines[1] == ["events", "0", "10000", "0.0", "0", "0", "0", "0s"]
    assert lines[2][0] == "notifications"


def test_status_counts_everything(case: Case) -> None:
    case.bury()
    case.pod.park_events(2, NO_PARTITION)
    case.pod.worker().run_cycle()
    case.pod.clock.advance(minutes=-10)
    case.pod.park_events(3)

    events, notifications = case.run_json("status")

    age_seconds = events.pop("oldest_age_seconds")
    assert events == {
        "stream": "events",
        "depth": 3,
        "max": 10000,
        "ratio": 0.0003,
        "parked": 2,
        "pending": 0,
        "dead_letters": 1,
    }
    assert 600 <= age_seconds < 660
    assert notifications["depth"] == 0


def test_list_names_records_and_shows_no_payload(case: Case) -> None:
    case.pod.clock.advance(hours=-2, minutes=-3)
    [event_id] = case.pod.park_events(1, NO_PARTITION, event_data={"colour": "mauve"})
    case.pod.put(b"{")

    result = case.run("list", "--stream", "events")

    lines = result.stdout.splitlines()
    assert lines[0].split() == ["ID", "RECORD", "CORRELATION", "REASON", "RETRIES", "AGE"]
    assert lines[1].split()[1:] == [event_id, "rr-7", "partition_missing", "0", "2h", "3m"]
    assert lines[2].split()[1:] == ["-", "-", "unparseable", "-", "-"]
    assert "mauve" not in result.output


def test_list_is_limited(case: Case) -> None:
    event_ids = case.pod.park_events(120)

    by_default = case.run_json("list", "--stream", "events")
    limited = case.run_json("list", "--stream", "events", "--limit", "101")

    assert [entry["event_id"] for entry in by_default] == event_ids[:50]
    assert [entry["event_id"] for entry in limited] == event_ids[:101]


def test_parked_entries_are_listed_in_the_order_of_their_turn(case: Case) -> None:
    later = case.pod.park_events(1, NO_PARTITION)
    case.pod.clock.advance(seconds=-30)
    sooner = case.pod.park_events(1, NO_PARTITION)
    case.pod.worker().run_cycle()

    parked = case.run_json("list", "--stream", "events", "--parked")
    queued = case.run_json("list", "--stream", "events")

    assert [entry["event_id"] for entry in parked] == [*sooner, *later]
    assert (parked[0]["reason"], parked[0]["id"], queued) == ("partition_missing", "", [])


def test_parked_and_dead_exclude_each_other(case: Case) -> None:
    result = case.run("list", "--stream", "events", "--parked", "--dead")

    assert result.exit_code == 2


def test_list_of_dead_letters_says_why_they_are_dead(case: Case) -> None:
    event_id = case.bury(Replayed.INVALID)

    [letter] = case.run_json("list", "--stream", "events", "--dead")

    assert (letter["event_id"], letter["reason"], letter["retry_count"]) == (event_id, "invalid", 0)


def test_list_of_notifications_names_them(case: Case) -> None:
    notification_id = case.pod.park_notification()

    [entry] = case.run_json("list", "--stream", "notifications")

    assert (entry["notification_id"], entry["correlation_id"]) == (notification_id, "rr-7")


def test_full_list_is_a_backup_of_everything(case: Case, tmp_path: Path) -> None:
    event_ids = case.pod.park_events(60, event_data={"password": "kept", "n": 1})
    case.pod.put(b"\xff")
    out = tmp_path / "backup.jsonl"
    out.touch(mode=0o644)

    result = case.run("list", "--stream", "events", "--full", "--out", str(out))

    lines = [json.loads(line) for line in out.read_bytes().splitlines()]
    assert result.stdout == f"61 entries written to {out}\n"
    assert [line["message"]["payload"]["event_id"] for line in lines[:60]] == event_ids
    assert lines[0]["message"]["payload"]["event_data"] == {"password": "kept", "n": 1}
    assert lines[60]["message"] == "\\xff"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


@pytest.mark.parametrize("arguments", [("--full",), ("--out", "backup.jsonl")])
def test_full_list_needs_a_file(case: Case, arguments: tuple[str, ...]) -> None:
    result = case.run("list", "--stream", "events", *arguments)

    assert result.exit_code == 2
    assert "--full and --out go together" in result.stderr


def test_file_that_cannot_be_written_is_one_sentence(case: Case, tmp_path: Path) -> None:
    result = case.run("list", "--stream", "events", "--full", "--out", str(tmp_path / "no" / "file"))

    assert result.exit_code == 1
    assert result.stderr == f"Error: {tmp_path}/no/file: No such file or directory\n"


def test_show_masks_secrets_unless_told_otherwise(case: Case) -> None:
    case.pod.park_events(1, event_data={"api_key": "k-123", "amount": 1.5, "big": 2**70})
    [entry] = case.run_json("list", "--stream", "events")
    arguments = ("show", "--stream", "events", "--id", entry["id"])

    masked = json.loads(case.run(*arguments).stdout)
    revealed = json.loads(case.run(*arguments, "--reveal").stdout)

    assert masked["message"]["payload"]["event_data"]["api_key"] == "[REDACTED]"
    assert revealed["message"]["payload"]["event_data"] == {"api_key": "k-123", "amount": 1.5, "big": 2**70}
    assert masked["message"]["reason"] == "db_unreachable"


def test_show_of_what_is_not_there_fails(case: Case) -> None:
    result = case.run("show", "--stream", "events", "--id", "1-1", "--dead")

    assert result.exit_code == 1
    assert result.stderr == "Error: There is no entry 1-1 in the dead letters of events.\n"


def test_id_that_is_none_is_refused(case: Case) -> None:
    result = case.run("show", "--stream", "events", "--id", "-")

    assert result.exit_code == 2
    assert "must be the id of an entry" in result.stderr


def test_replay_lets_parked_entries_be_tried_now(case: Case) -> None:
    event_ids = case.pod.park_events(3, NO_PARTITION)
    case.pod.worker().run_cycle()
    case.pod.archive.always(NO_PARTITION)
    case.pod.clock.advance(minutes=1)
    case.pod.worker().run_cycle()
    case.pod.archive.heal()
    parked_before = case.pod.parked()

    result = case.run_json("replay", "--stream", "events")
    tried_by_the_command = len(case.pod.archive.attempts) - 3
    case.pod.clock.advance(seconds=30)
    case.pod.worker().run_cycle()

    assert result == {"made_due": 3}
    assert {entry.retry_count for entry, _ in parked_before} == {1}
    assert tried_by_the_command == 0
    assert sorted(case.pod.archive.rows) == sorted(event_ids)
    assert (case.pod.parked(), case.pod.depth()) == ([], 0)


def test_replay_now_writes_from_here(case: Case) -> None:
    case.pod.park_events(3, NO_PARTITION)
    case.pod.worker().run_cycle()
    queued = case.pod.park_events(2)
    notification = case.pod.park_notification()

    result = case.run("replay", "--stream", "events", "--now")

    assert result.exit_code == 0
    assert ["total", "processed", "5"] in [line.split() for line in result.stdout.splitlines()]
    assert len(case.pod.archive.rows) == 5
    assert set(queued) < set(case.pod.archive.rows)
    assert notification not in case.pod.archive.rows
    assert (case.pod.depth(), case.pod.parked(), case.pod.depth(NOTIFICATIONS)) == (0, [], 1)
    groups: Any = case.pod.client.xinfo_consumers("audit:dlq:events", "data-storage-retry-workers")
    assert [consumer["name"] for consumer in groups] == [b"pod-a"]


def test_replay_now_tells_what_failed(case: Case) -> None:
    case.pod.park_events(2)
    case.pod.archive.always(NO_PARTITION)

    result = case.run("replay", "--stream", "events", "--now", "--json", "--timeout", "5s")

    assert result.exit_code == 1
    statistics = json.loads(result.stdout)
    assert (statistics["errors"], statistics["remaining_events"]) == (2, 2)
    assert '"msg":"Error during DLQ drain processing"' in result.stderr


def test_replay_now_without_database_changes_nothing_in_the_stream(case: Case) -> None:
    case.pod.park_events(2)
    case.pod.is_database_up = False

    result = case.run("replay", "--stream", "events", "--now")

    assert result.exit_code == 1
    [line] = result.stderr.splitlines()
    assert line.startswith(
        "Error: The database cannot be reached: nothing was replayed. Start it, or correct "
    )
    assert (case.pod.depth(), case.pod.pending()) == (2, 0)


def test_timeout_without_unit_is_refused(case: Case) -> None:
    result = case.run("replay", "--stream", "events", "--now", "--timeout", "60")

    assert result.exit_code == 2
    assert "must be a duration with a unit" in result.stderr


def test_dead_letters_get_another_chance_with_no_attempt_counted(case: Case) -> None:
    event_ids = [case.bury(), case.bury(Replayed.INVALID)]
    case.pod.put(b"{")
    case.pod.worker().run_cycle()

    result = case.run_json("replay", "--stream", "events", "--dead")

    assert result == {"brought_back": 2, "unreadable": 1}
    assert [entry.record_id for entry in case.pod.entries()] == event_ids
    assert {entry.retry_count for entry in case.pod.entries()} == {0}
    assert case.pod.ids() == set(event_ids)
    assert len(case.letter_ids()) == 1


def test_dead_letters_are_chosen_by_id_or_reason(case: Case) -> None:
    conflicting, _invalid, also_conflicting = case.bury(), case.bury(Replayed.INVALID), case.bury()

    by_id = case.run_json("replay", "--stream", "events", "--dead", "--id", case.letter_ids()[2])
    by_reason = case.run_json("replay", "--stream", "events", "--dead", "--reason", "conflict")

    assert (by_id["brought_back"], by_reason["brought_back"]) == (1, 1)
    assert [entry.record_id for entry in case.pod.entries()] == [also_conflicting, conflicting]
    assert [letter["reason"] for letter in case.pod.dead()] == ["invalid"]


def test_choice_of_dead_letters_is_for_dead_letters(case: Case) -> None:
    result = case.run("replay", "--stream", "events", "--reason", "conflict")

    assert result.exit_code == 2
    assert "--id and --reason are for --dead" in result.stderr


def test_discard_deletes_one_dead_letter_and_records_who_and_why(case: Case) -> None:
    event_id, _other = case.bury(), case.bury()
    [entry_id, _] = case.letter_ids()
    arguments = ("--id", entry_id, "--by", "ada", "--reason", "sent by a test", "--yes")

    result = case.run("discard", "--stream", "events", *arguments)

    assert result.exit_code == 0
    assert result.stdout == f"{event_id} is discarded.\n"
    assert entry_id not in case.letter_ids()
    assert len(case.letter_ids()) == 1
    assert case.discards == [
        Discard(
            stream=EVENTS,
            entry_id=entry_id,
            record_id=event_id,
            correlation_id="rr-7",
            failure="conflict",
            by="ada",
            reason="sent by a test",
        )
    ]
    line = json.loads(result.stderr)
    assert (line["level"], line["msg"]) == ("warn", "Dead letter discarded")
    assert (line["event_id"], line["by"], line["reason"]) == (event_id, "ada", "sent by a test")


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 1), ("", 1)])
def test_discard_asks_first(case: Case, answer: str, left: int) -> None:
    event_id = case.bury()

    result = case.run(
        "discard", "--stream", "events", "--id", case.letter_ids()[0], "--by", "ada", answer=answer
    )

    assert f"Discard {event_id} (conflict) for ever?" in result.stdout
    assert result.exit_code == left
    assert (len(case.letter_ids()), len(case.discards)) == (left, 1 - left)


def test_discard_needs_a_name(case: Case) -> None:
    case.bury()

    result = case.run("discard", "--stream", "events", "--id", case.letter_ids()[0], "--yes")

    assert result.exit_code == 2
    assert "Missing option '--by'" in result.stderr
    assert len(case.letter_ids()) == 1


def test_discard_that_cannot_be_recorded_deletes_nothing(case: Case) -> None:
    case.bury()
    case.can_record = False

    result = case.run("discard", "--stream", "events", "--id", case.letter_ids()[0], "--by", "ada", "--yes")

    assert result.exit_code == 1
    assert result.stderr == "Error: database and DLQ both unavailable - please retry\n"
    assert len(case.letter_ids()) == 1


def test_queued_entry_cannot_be_discarded(case: Case) -> None:
    case.pod.park_events(1)
    [entry] = case.run_json("list", "--stream", "events")

    result = case.run("discard", "--stream", "events", "--id", entry["id"], "--by", "ada", "--yes")

    assert result.exit_code == 1
    assert case.pod.depth() == 1


def test_unreachable_redis_is_one_sentence_without_password(pod: Pod) -> None:
    case = Case(pod, "redis://:very-secret@127.0.0.1:1/0")

    result = case.run("status")

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: Redis: ")
    assert "very-secret" not in result.output
