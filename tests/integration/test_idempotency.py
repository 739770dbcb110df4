"""A write is done once, however often and however concurrently its message is delivered."""

import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from tests.factories import templates
from tests.support.cases import each
from tests.support.producer import RefusedError
from tests.support.rows import Rows
from tests.support.tasks import Tasks
from worker.local import LocalStack


@pytest.fixture
def rows(servers: LocalStack) -> Rows:
    """Look at the database of the tasks."""
    return Rows(servers.postgres.url)


@pytest.fixture
def key() -> str:
    """Give a key that no other test uses."""
    return str(uuid.uuid4())


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Run ``work`` in as many threads at one moment; return answers and refusals."""
    gate = Barrier(count)

    def wait_and_work(number: int) -> Any:  # noqa: ANN401 - an answer
        gate.wait(60)
        try:
            return work(number)
        except RefusedError as refusal:
            return refusal

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(wait_and_work, range(count)))


WRITES: dict[str, dict[str, Any]] = {
    "template.create": {"name": "New", "type": "sms"},
    "template.update": {"name": "Changed"},
    "template.delete": {},
    "template.restore": {},
    "version.publish": {"body": "Two"},
    "version.activate": {"version": "1"},
    "translation.upsert": {"language_code": "fr", "body": "Deux"},
    "translation.delete": {"language_code": "de"},
}


@pytest.mark.parametrize("task", WRITES)
@pytest.mark.parametrize("named", [False, True], ids=["task id", "idempotency_key"])
def test_a_repeated_write_gets_the_stored_answer(
    tasks: Tasks, rows: Rows, key: str, task: str, *, named: bool
) -> None:
    """Byte for byte, with one effect: a second delete, say, is not refused."""
    if task == "template.create":
        template = templates.template_id()
    else:
        template = templates.published(tasks, "One", translations={"de": {"body": "Eins"}})
    message = {"template_id": template} | WRITES[task]
    if named:
        message["idempotency_key"] = key
    answers, counts = [], []
    for _ in range(3):
        answers.append(
            json.dumps(tasks.call(task, message, task_id=str(uuid.uuid4()) if named else key))
        )
        counts.append(rows.counts(template))
    assert answers[0] == answers[1] == answers[2]
    assert counts[0] == counts[1] == counts[2]
    assert rows.records(key) == 1


def test_a_late_redelivery_is_answered_without_a_second_effect(
    tasks: Tasks, rows: Rows, key: str
) -> None:
    """A late redelivery does not roll back what came after."""
    template = templates.created(tasks)
    message = {"template_id": template, "body": "One"}
    first = tasks.call("version.publish", message, task_id=key)
    tasks.call("version.publish", {"template_id": template, "body": "Two"})
    assert tasks.call("version.publish", message, task_id=key) == first
    assert tasks.call("render.one", {"template_id": template})["body"] == "Two"
    assert rows.counts(template) == (1, 2, 0, 1)


@pytest.mark.parametrize("named", [False, True], ids=["task id", "idempotency_key"])
def test_a_key_with_other_content_is_a_conflict(
    tasks: Tasks, rows: Rows, key: str, *, named: bool
) -> None:
    """The first write stands, and the answer says where the key came from."""
    template = templates.created(tasks)
    named_key = {"idempotency_key": key} if named else {}
    task_id = None if named else key
    message = {"template_id": template, "body": "One"} | named_key
    tasks.call("version.publish", message, task_id=task_id)
    others: list[dict[str, Any]] = [
        {"body": "Two"},
        {"subject": "s"},
        {"activate": False},
        {"metadata": {"a": 1}},
        {"variables": []},
        {"expected_version": "1"},
    ]
    for changed in others:
        with pytest.raises(RefusedError) as caught:
            tasks.call("version.publish", message | changed, task_id=task_id)
        assert caught.value.code == "idempotency_conflict"
        assert caught.value.paths == {"idempotency_key" if named else "id"}
    assert rows.counts(template) == (1, 1, 0, 1)


def test_another_task_with_the_same_key_is_a_conflict(tasks: Tasks, rows: Rows, key: str) -> None:
    """Also where the keywords are the same."""
    template = templates.published(tasks)
    tasks.call("template.delete", {"template_id": template}, task_id=key)
    with pytest.raises(RefusedError) as caught:
        tasks.call("template.restore", {"template_id": template}, task_id=key)
    assert caught.value.code == "idempotency_conflict"
    with pytest.raises(RefusedError) as caught:
        tasks.call("template.get", {"template_id": template})
    assert caught.value.code == "template_not_found"


def test_equivalent_messages_have_the_same_content(tasks: Tasks, key: str) -> None:
    """Spelled-out defaults, other spellings of a language, another order of members."""
    template = templates.created(tasks)
    first = tasks.call(
        "version.publish",
        {
            "template_id": template,
            "body": "One",
            "variables": ["a"],
            "metadata": {"b": 1, "c": 2},
            "translations": {"en_us": {"body": "x"}},
        },
        task_id=key,
    )
    again = tasks.call(
        "version.publish",
        {
            "translations": {"en-US": {"body": "x", "subject": None}},
            "metadata": {"c": 2, "b": 1},
            "variables": [{"name": "a", "type": "any", "required": True}],
            "body": "One",
            "activate": True,
            "version": None,
            "template_id": template,
        },
        task_id=key,
    )
    assert again == first


def test_null_and_omitted_keywords_differ_where_their_effect_does(tasks: Tasks, key: str) -> None:
    """An update to null empties a field, which is not what leaving it out does."""
    template = templates.created(tasks, description="d")
    tasks.call("template.update", {"template_id": template, "name": "A"}, task_id=key)
    with pytest.raises(RefusedError) as caught:
        tasks.call(
            "template.update",
            {"template_id": template, "name": "A", "description": None},
            task_id=key,
        )
    assert caught.value.code == "idempotency_conflict"


def test_a_refused_message_does_not_use_up_its_key(tasks: Tasks, rows: Rows, key: str) -> None:
    """Its key was not used: no record stays of what was not done."""
    template = templates.created(tasks)
    broken = {"template_id": template, "body": "{% if %}", "idempotency_key": key}
    attempts: list[dict[str, Any]] = [
        {},
        {"body": "{{ 'a' * 3000000 }}"},
        {"body": "x", "expected_version": "9"},
    ]
    for changed in attempts:
        with pytest.raises(RefusedError):
            tasks.call("version.publish", broken | changed)
        assert rows.records(key) == 0
    corrected = broken | {"body": "One"}
    assert tasks.call("version.publish", corrected)["version"] == "1"
    assert rows.records(key) == 1


def test_idempotency_key_takes_precedence_over_the_task_id(
    tasks: Tasks, rows: Rows, key: str
) -> None:
    """A producer that sends again makes a new task id and keeps its key."""
    template = templates.created(tasks)
    message = {"template_id": template, "body": "One", "idempotency_key": key}
    ids = [str(uuid.uuid4()) for _ in range(3)]
    answers = [tasks.call("version.publish", message, task_id=task_id) for task_id in ids]
    assert answers[0] == answers[1] == answers[2]
    assert rows.records(key) == 1
    assert not any(rows.records(task_id) for task_id in ids)
    other = {"template_id": template, "body": "Two", "idempotency_key": str(uuid.uuid4())}
    assert tasks.call("version.publish", other, task_id=ids[0])["version"] == "2"


@each("bad", ["a" * 256, "a\0b", "\ud800"])
def test_a_task_id_that_cannot_be_a_key_is_refused(tasks: Tasks, bad: str) -> None:
    """Any producer may send any id; the answer says what is wrong with it."""
    template = templates.created(tasks)
    message = {"template_id": template, "body": "One"}
    with pytest.raises(RefusedError) as caught:
        tasks.call("version.publish", message, task_id=bad)
    assert (caught.value.code, caught.value.paths) == ("invalid_message", {"id"})
    with_key = message | {"idempotency_key": str(uuid.uuid4())}
    assert tasks.call("version.publish", with_key, task_id=bad)["version"] == "1"


def test_reads_leave_no_record(tasks: Tasks, rows: Rows, key: str) -> None:
    """They may come as often as they like, each time with the newest answer."""
    template = templates.published(tasks, "One")
    message = {"template_id": template}
    for task in ("render.one", "template.get", "version.list"):
        before = tasks.call(task, message, task_id=key)
        assert tasks.call(task, message, task_id=key) == before
    assert rows.records(key) == 0


class TestAtOnce:
    """The same, with deliveries that overlap."""

    def test_one_message_delivered_many_times_makes_one_version(
        self, tasks: Tasks, rows: Rows, key: str
    ) -> None:
        """All deliveries get the same answer."""
        template = templates.created(tasks)
        message = {"template_id": template, "body": "One"}
        answers = at_once(8, lambda _: tasks.call("version.publish", message, task_id=key))
        assert [json.dumps(answer) for answer in answers] == [json.dumps(answers[0])] * 8
        assert answers[0]["version"] == "1"
        assert rows.counts(template) == (1, 1, 0, 1)
        assert rows.records(key) == 1

    def test_an_invalid_message_delivered_many_times_leaves_no_record(
        self, tasks: Tasks, rows: Rows, key: str
    ) -> None:
        """Each delivery is refused by itself; none waits for another's answer that never comes."""
        template = templates.created(tasks)
        message = {"template_id": template, "body": "One", "expected_version": "7"}
        answers = at_once(6, lambda _: tasks.call("version.publish", message, task_id=key))
        assert [answer.code for answer in answers] == ["version_conflict"] * 6
        assert rows.counts(template) == (1, 0, 0, 0)
        assert rows.records(key) == 0

    def test_20_producers_make_20_versions_and_one_is_current(
        self, tasks: Tasks, rows: Rows
    ) -> None:
        """One after the other, without a gap, each naming the one before."""
        template = templates.created(tasks)
        answers = at_once(
            20,
            lambda number: tasks.call(
                "version.publish", {"template_id": template, "body": f"body {number}"}
            ),
        )
        assert [answer for answer in answers if isinstance(answer, RefusedError)] == []
        versions = sorted(answers, key=lambda answer: int(answer["version"]))
        numbers = [str(number) for number in range(1, 21)]
        assert [answer["version"] for answer in versions] == numbers
        assert [answer["previous_version"] for answer in versions] == [None, *numbers[:-1]]
        assert rows.counts(template) == (1, 20, 0, 1)
        listed = tasks.call("version.list", {"template_id": template})["versions"]
        assert [version["version"] for version in listed] == numbers[::-1]
        assert [version["version"] for version in listed if version["is_current"]] == ["20"]

    def test_one_of_several_publishes_with_the_same_expected_version_succeeds(
        self, tasks: Tasks, rows: Rows
    ) -> None:
        """The others get a conflict, and store nothing."""
        template = templates.published(tasks)
        message = {"template_id": template, "body": "Two", "expected_version": "1"}
        answers = at_once(6, lambda _: tasks.call("version.publish", message))
        refusals = [answer for answer in answers if isinstance(answer, RefusedError)]
        assert [refusal.code for refusal in refusals] == ["version_conflict"] * 5
        assert rows.counts(template) == (1, 2, 0, 1)

    def test_one_of_several_creates_of_the_same_template_succeeds(
        self, tasks: Tasks, rows: Rows
    ) -> None:
        """The others learn that it exists."""
        template = templates.template_id()
        message = {"template_id": template, "name": "A", "type": "sms"}
        answers = at_once(6, lambda _: tasks.call("template.create", message))
        refusals = [answer for answer in answers if isinstance(answer, RefusedError)]
        assert [refusal.code for refusal in refusals] == ["template_exists"] * 5
        assert rows.counts(template) == (1, 0, 0, 0)

    def test_upserts_of_one_language_make_one_translation(self, tasks: Tasks, rows: Rows) -> None:
        """One creates it, the others replace it."""
        template = templates.published(tasks)
        answers = at_once(
            6,
            lambda number: tasks.call(
                "translation.upsert",
                {
                    "template_id": template,
                    "language_code": "de",
                    "body": f"{{{{ name }}}} {number}",
                },
            ),
        )
        assert sorted(answer["created"] for answer in answers) == [False] * 5 + [True]
        assert rows.counts(template) == (1, 1, 1, 1)

    def test_activations_and_publishes_leave_one_current_version(
        self, tasks: Tasks, rows: Rows
    ) -> None:
        """Whatever the order, none fails and one version is current."""
        template = templates.published(tasks)

        def work(number: int) -> Any:  # noqa: ANN401 - an answer
            if number % 2:
                return tasks.call("version.activate", {"template_id": template, "version": "1"})
            return tasks.call("version.publish", {"template_id": template, "body": "x"})

        answers = at_once(8, work)
        assert not [answer for answer in answers if isinstance(answer, RefusedError)]
        assert rows.counts(template) == (1, 5, 0, 1)
