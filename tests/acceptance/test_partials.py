"""Partials on real parts: two workers of two processes each, one broker, one database."""

import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.factories import templates
from tests.support.producer import Producer, RefusedError
from worker.local import LocalStack

Message = tuple[str, dict[str, Any]]

ROUNDS = 80
THREADS = 4
RACES = 5

_DANGLING = """
SELECT t.template_id, o.template_id
FROM templates AS t
JOIN template_versions AS v ON v.template_id = t.id AND v.is_current
JOIN template_partials AS p ON p.template_version_id = v.id
JOIN templates AS o ON o.id = p.partial_id
WHERE t.deleted_at IS NULL AND (o.deleted_at IS NOT NULL OR NOT o.is_active)
"""


def partial(producer: Producer, body: str = "x") -> str:
    """Publish a partial and return its id."""
    return templates.published(producer, body, type="partial")


def at_once(producer: Producer, messages: Sequence[Message]) -> list[dict[str, Any] | RefusedError]:
    """Send messages at the same time; return the answer or the refusal of each."""
    start = threading.Barrier(len(messages))

    def outcome(message: Message) -> dict[str, Any] | RefusedError:
        start.wait()
        try:
            return producer.call(*message)
        except RefusedError as error:
            return error

    with ThreadPoolExecutor(len(messages)) as pool:
        return list(pool.map(outcome, messages))


def codes(outcomes: Sequence[dict[str, Any] | RefusedError]) -> list[str]:
    """Return the code of each refusal, and ``ok`` for each answer."""
    return [outcome.code if isinstance(outcome, RefusedError) else "ok" for outcome in outcomes]


def test_a_render_sent_after_a_partials_publish_shows_it(producer: Producer) -> None:
    """80 rounds: what uses a partial, or a partial of it, never shows an older one."""

    def rounds(_: int) -> int:
        footer = partial(producer)
        layout = partial(producer, f"{{% include '{footer}' %}}|{{% block a %}}{{% endblock %}}")
        source = (
            f"{{% extends '{layout}' %}}{{% block a %}}{{% include '{footer}' %}}{{% endblock %}}"
        )
        user = templates.published(producer, source, type="sms")
        for number in range(ROUNDS // THREADS):
            text = f"{number} {uuid.uuid4()}"
            message = {"template_id": footer, "body": text}
            version = producer.call("version.publish", message)["version"]
            answer = producer.call("render.one", {"template_id": user})
            assert answer["body"] == f"{text}|{text}"
            versions = {used["template_id"]: used["version"] for used in answer["partials"]}
            assert versions == {footer: version, layout: "1"}
        return ROUNDS // THREADS

    with ThreadPoolExecutor(THREADS) as pool:
        assert sum(pool.map(rounds, range(THREADS))) == ROUNDS


def test_concurrent_partials_cannot_include_each_other(producer: Producer) -> None:
    """Five rounds, both published at the same time: one is refused with the cycle."""
    for _ in range(RACES):
        one, other = partial(producer), partial(producer)
        messages: list[Message] = [
            ("version.publish", {"template_id": user, "body": f"y{{% include '{used}' %}}"})
            for user, used in ((one, other), (other, one))
        ]
        outcomes = at_once(producer, messages)
        assert sorted(codes(outcomes)) == ["ok", "template_syntax"]
        (refusal,) = (outcome for outcome in outcomes if isinstance(outcome, RefusedError))
        assert refusal.details[0]["type"] == "partial_cycle"
        bodies = {
            producer.call("render.one", {"template_id": name})["body"] for name in (one, other)
        }
        assert bodies == {"x", "yx"}


def test_concurrent_partials_cannot_form_a_cycle_of_three(producer: Producer) -> None:
    """Five rounds, by publish, by upsert and by activate: whichever comes last is refused."""
    for _ in range(RACES):
        names = [partial(producer) for _ in range(3)]
        first, second, third = (f"{{% include '{name}' %}}" for name in (*names[1:], names[0]))
        prepared = {"template_id": names[2], "body": third, "activate": False}
        producer.call("version.publish", prepared)
        german = {"template_id": names[1], "body": second, "language_code": "de"}
        messages: list[Message] = [
            ("version.publish", {"template_id": names[0], "body": first}),
            ("translation.upsert", german),
            ("version.activate", {"template_id": names[2], "version": "2"}),
        ]
        outcomes = codes(at_once(producer, messages))
        assert sorted(outcomes) == ["ok", "ok", "template_syntax"]


@pytest.mark.parametrize(
    ("task", "keywords", "lost"),
    [
        ("template.delete", {}, "template_not_found"),
        ("template.update", {"is_active": False}, "template_inactive"),
    ],
)
def test_no_current_version_uses_a_deleted_partial(
    producer: Producer, stack: LocalStack, task: str, keywords: dict[str, Any], lost: str
) -> None:
    """Five rounds of a partial's end, and at the same time its use in four ways.

    Either it is in use by then and stays, or it is gone and every use is refused.
    """
    for _ in range(RACES):
        used = partial(producer)
        include = f"y{{% include '{used}' %}}"
        users = [templates.published(producer, "x", type="sms") for _ in range(3)]
        published, translated, rolled_back = users
        prepared = {"template_id": rolled_back, "body": include, "activate": False}
        producer.call("version.publish", prepared)
        restored = templates.published(producer, include, type="sms")
        producer.call("template.delete", {"template_id": restored})
        german = {"template_id": translated, "body": include, "language_code": "de"}
        messages: list[Message] = [
            (task, {"template_id": used} | keywords),
            ("version.publish", {"template_id": published, "body": include}),
            ("translation.upsert", german),
            ("version.activate", {"template_id": rolled_back, "version": "2"}),
            ("template.restore", {"template_id": restored}),
        ]
        gone, *uses = codes(at_once(producer, messages))
        if gone == "ok":
            assert uses == ["template_syntax", "template_syntax", lost, lost]
        else:
            assert (gone, uses) == ("template_in_use", ["ok"] * 4)
        for name in users:
            call = {"template_id": name, "language": "de"}
            assert producer.call("render.one", call)["body"] == ("x" if gone == "ok" else "yx")
    assert _dangling(stack) == []


def test_concurrent_writers_of_related_templates_never_deadlock(
    producer: Producer, stack: LocalStack
) -> None:
    """Partials and their users, published, deleted, restored and switched by eight producers.

    Each answer is a result, or a refusal for a reason of the contract.
    """
    family = [partial(producer) for _ in range(3)]
    users = [templates.published(producer, "x", type="sms") for _ in range(2)]

    def messages(seed: int) -> Iterator[Message]:
        for step in range(14):
            place = seed + step
            used, user = {"template_id": family[place % 3]}, {"template_id": users[place % 2]}
            include = {"body": f"{{% include '{family[place % 3]}' %}}"}
            yield (
                ("version.publish", user | include),
                ("version.publish", {"template_id": family[(place + 1) % 3]} | include),
                ("template.delete", used),
                ("template.restore", used),
                ("translation.upsert", user | include | {"language_code": "de"}),
                ("version.activate", user | {"version": "1"}),
                ("template.update", used | {"is_active": place % 4 != 0}),
            )[(5 * seed + step) % 7]

    def work(seed: int) -> set[str]:
        return {code for message in messages(seed) for code in codes(at_once(producer, [message]))}

    with ThreadPoolExecutor(8) as pool:
        all_codes = set().union(*pool.map(work, range(8)))
    assert all_codes <= {
        "ok",
        "template_in_use",
        "template_inactive",
        "template_not_found",
        "template_syntax",
    }
    assert "deadlock" not in (stack.logs / "postgres.log").read_text()
    assert _dangling(stack) == []


def _dangling(stack: LocalStack) -> list[tuple[Any, ...]]:
    """Return the current versions that use a partial that is gone, and the partial."""
    with psycopg.connect(stack.postgres.url) as connection:
        return connection.execute(_DANGLING).fetchall()
