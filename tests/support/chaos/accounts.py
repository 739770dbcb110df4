"""What became of every message of a load: an answer, an effect, a dead letter, or nothing."""

import base64
import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Final, LiteralString

import psycopg
import redis

from tests.support.chaos.load import Sent
from tests.support.chaos.stacks import ChaosStack, Contents

PAGE: Final = 500
STILL_SECONDS: Final = 30
"""How long there may be no new answer before the rest is taken for stuck: longer than the soft time
limit of a task, which is what ends a wait for a silent database."""
_UUID: Final = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]{48,}={0,2}")
_DEPTH: Final = 4

# Every committed effect by what it is known by. A trigger counts what a row that is replaced by
# itself would hide; an effect that is rolled back takes its entry along.
_LEDGER: LiteralString = """
CREATE SCHEMA IF NOT EXISTS chaos;
CREATE TABLE IF NOT EXISTS chaos.effects (mark text NOT NULL);
CREATE OR REPLACE FUNCTION chaos.of_template() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO chaos.effects VALUES (NEW.template_id); RETURN NULL; END $$;
CREATE OR REPLACE FUNCTION chaos.of_text() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO chaos.effects VALUES (NEW.body); RETURN NULL; END $$;
CREATE OR REPLACE TRIGGER chaos AFTER INSERT ON public.templates
FOR EACH ROW EXECUTE FUNCTION chaos.of_template();
CREATE OR REPLACE TRIGGER chaos AFTER INSERT ON public.template_versions
FOR EACH ROW EXECUTE FUNCTION chaos.of_text();
CREATE OR REPLACE TRIGGER chaos AFTER INSERT OR UPDATE OF body ON public.template_translations
FOR EACH ROW EXECUTE FUNCTION chaos.of_text();
"""

_NOT_ONE_CURRENT: LiteralString = """
SELECT t.template_id FROM templates AS t JOIN template_versions AS v ON v.template_id = t.id
GROUP BY t.template_id HAVING count(*) FILTER (WHERE v.is_current) <> 1
"""


@dataclass
class Report:
    """Counts of one load; those from the dead letters on should be 0."""

    seed: str
    sent: int
    unknown: int
    ok: int
    refused: Counter[str]
    effects: int
    longest_wait: float
    dead_letters: int = 0
    lost: list[Sent] = field(default_factory=list)
    waiting: list[Sent] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    not_one_current: list[str] = field(default_factory=list)

    def rows(self) -> list[tuple[str, str]]:
        """Return the table: what was counted, and how many."""
        refused = ", ".join(f"{code} {count}" for code, count in sorted(self.refused.items()))
        return [
            ("sent and acknowledged", str(self.sent)),
            ("sent, outcome unknown to the producer", str(self.unknown)),
            ("answered", str(self.ok + self.refused.total())),
            ("  ok", str(self.ok)),
            ("  refused", refused or "0"),
            ("effects", str(self.effects)),
            ("duplicated effects", str(len(self.duplicated))),
            ("answered without effect", str(len(self.missing))),
            ("wrong answers", str(len(self.wrong))),
            ("templates without one current version", str(len(self.not_one_current))),
            ("dead letters", str(self.dead_letters)),
            ("lost", str(len(self.lost))),
            ("still waiting", str(len(self.waiting))),
            ("longest wait after the last fault", f"{self.longest_wait:.1f} s"),
            ("seed", self.seed),
        ]

    def line(self) -> dict[str, str]:
        """Return the table as one row of a table of several loads."""
        return {name.strip(): value for name, value in self.rows()}

    def __str__(self) -> str:
        """Return the table as text, with a few of what should not be there."""
        lines = [f"{name:<40} {value}" for name, value in self.rows()]
        for name in ("lost", "waiting", "duplicated", "missing", "wrong", "not_one_current"):
            some: list[Any] = getattr(self, name)
            lines += [f"{name}: {each}" for each in some[:5]]
        return "\n".join(lines)

    def assert_nothing_lost_or_doubled(self, *, longest_wait: float) -> None:
        """Hold what the service promises of every fault.

        Parameters
        ----------
        longest_wait
            Seconds after the last fault, or after its sending, for the slowest answer.
        """
        for wrong in (
            *(self.lost, self.waiting, self.wrong),
            *(self.duplicated, self.missing, self.not_one_current),
        ):
            assert not wrong, f"\n{self}"
        assert set(self.refused) <= {"template_not_found"}, f"\n{self}"
        assert self.dead_letters == 0, f"\n{self}"
        assert self.longest_wait <= longest_wait, f"\n{self}"


class Accountant:
    """Settles the accounts of loads on one stack."""

    def __init__(self, stack: ChaosStack) -> None:
        self._stack = stack
        with psycopg.connect(stack.postgres.url, autocommit=True) as connection:
            connection.execute(_LEDGER)

    def settle(
        self,
        sent: list[Sent],
        seed: str,
        *,
        last_fault: float | None = None,
        still: float,
    ) -> Report:
        """Wait for the answers that still come, then look where everything is.

        Parameters
        ----------
        sent
            What a load has sent.
        seed
            Of the load.
        last_fault
            When the last fault began or ended, in seconds since the epoch; waits count from it.
        still
            Seconds without any new answer after which no more are expected.
        """
        with redis.Redis.from_url(self._stack.valkey.url_of(1)) as backend:
            answers = self._answers(sent, backend, still)
        with self._stack.broker as broker:
            contents = Contents.of(broker)
        # Read in this order, so that what moves on meanwhile is seen at its end.
        dead = _all_ids(contents.dead)
        there = _all_ids(contents.waiting) | _all_ids(contents.held)
        effects = self._effects(sent)
        report = Report(
            seed=seed,
            sent=sum(each.acknowledged for each in sent),
            unknown=sum(not each.acknowledged for each in sent),
            ok=sum(answer["status"] == "SUCCESS" for answer in answers.values()),
            refused=Counter(filter(None, map(_code, answers.values()))),
            effects=effects.total(),
            longest_wait=_longest_wait(sent, answers, last_fault or 0.0),
            dead_letters=sum(each.id in dead for each in sent),
            not_one_current=self._not_one_current(),
        )
        for each in sent:
            answer = answers.get(each.id)
            self._judge(report, each, answer, effects[each.mark])
            if answer is None and each.id not in dead:
                if each.id in there:
                    report.waiting.append(each)
                elif each.acknowledged:
                    report.lost.append(each)
        return report

    @staticmethod
    def _judge(report: Report, sent: Sent, answer: dict[str, Any] | None, effects: int) -> None:
        if sent.mark and effects > 1:
            report.duplicated.append(f"{sent.task} {sent.id}: {effects} effects")
        if answer is None:
            return
        code = _code(answer)
        if sent.mark and code is None and effects == 0:
            report.missing.append(f"{sent.task} {sent.id}")
        if not _is_expected(sent, answer):
            report.wrong.append(f"{sent.task} {sent.id}: {code or answer['result']}")

    def _answers(
        self, sent: list[Sent], backend: redis.Redis, still: float
    ) -> dict[str, dict[str, Any]]:
        answers: dict[str, dict[str, Any]] = {}
        open_ids = {each.id for each in sent}
        acknowledged = {each.id for each in sent if each.acknowledged}
        changed = time.monotonic()
        while time.monotonic() - changed < still:
            stored = dict(_stored(backend, open_ids))
            if stored:
                changed = time.monotonic()
                answers |= stored
                open_ids -= stored.keys()
            if not open_ids & acknowledged and self._idle():
                # Once more: what was unknown may have been answered since.
                return answers | dict(_stored(backend, open_ids))
            time.sleep(0.1)
        return answers

    def _idle(self) -> bool:
        with self._stack.broker as broker:
            return not Contents.of(broker).busy

    def _effects(self, sent: list[Sent]) -> Counter[str]:
        marks = [each.mark for each in sent if each.mark]
        with psycopg.connect(self._stack.postgres.url) as connection:
            rows = connection.execute(
                "SELECT mark, count(*) FROM chaos.effects WHERE mark = ANY(%s) GROUP BY mark",
                [marks],
            ).fetchall()
        return Counter({str(mark): int(count) for mark, count in rows})

    def _not_one_current(self) -> list[str]:
        with psycopg.connect(self._stack.postgres.url) as connection:
            return [str(name) for (name,) in connection.execute(_NOT_ONE_CURRENT).fetchall()]


def ids_in(raw: bytes) -> set[str]:
    """Return the ids in a raw message or letter, however often it is wrapped in base64."""
    return {match.decode() for text in unwrapped(raw) for match in _UUID.findall(text)}


def unwrapped(raw: bytes, depth: int = _DEPTH) -> Iterator[bytes]:
    """Yield some bytes, and what every run of base64 in them says, and so on."""
    yield raw
    if depth == 0:
        return
    for run in _BASE64.findall(raw):
        try:
            inner = base64.b64decode(run, validate=True)
        except ValueError:
            continue
        yield from unwrapped(inner, depth - 1)


def _all_ids(raws: Iterable[bytes]) -> set[str]:
    return {task_id for raw in raws for task_id in ids_in(raw)}


def _stored(backend: redis.Redis, ids: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    left = iter(sorted(ids))
    while page := list(islice(left, PAGE)):
        for task_id, raw in zip(page, _read(backend, page), strict=True):
            if raw is not None:
                answer = json.loads(raw)
                if answer["status"] in {"SUCCESS", "FAILURE"}:
                    yield task_id, answer


def _read(backend: redis.Redis, ids: list[str]) -> list[Any]:
    return list(backend.mget([f"celery-task-meta-{each}" for each in ids]))


def _code(answer: dict[str, Any]) -> str | None:
    """Return the code of a refusal, None for a success; another failure has its exception's."""
    if answer["status"] == "SUCCESS":
        return None
    result = answer["result"]
    said = result.get("exc_message")
    if result.get("exc_module") == "tasks.errors" and isinstance(said, list):
        return str(said[0])
    return str(result.get("exc_type"))


def _is_expected(sent: Sent, answer: dict[str, Any]) -> bool:
    if isinstance(sent.expected, str):
        return _code(answer) == sent.expected
    return (
        answer["status"] == "SUCCESS" and sent.expected.items() <= _plain(answer["result"]).items()
    )


def _plain(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if isinstance(value, str | int)}


def _longest_wait(sent: list[Sent], answers: dict[str, dict[str, Any]], last_fault: float) -> float:
    ends = {each: datetime.fromisoformat(a["date_done"]).timestamp() for each, a in answers.items()}
    waits = (ends[each.id] - max(each.at, last_fault) for each in sent if each.id in ends)
    return max(waits, default=0.0)
