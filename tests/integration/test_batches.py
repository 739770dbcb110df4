"""``render.batch``: one version for many recipients, each with a result of its own."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks import runtime
from tasks.messages.base import parse
from tasks.messages.render import RenderBatch
from tasks.runtime import Runtime
from tasks.services.batches import GROUP, _Batch
from tasks.work import Lookup
from tests.factories import templates
from tests.support.producer import RefusedError
from tests.support.tasks import Tasks

SAFE = settings(
    max_examples=80,
    deadline=None,
    # The template is made once and only read.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SOUND = {"x": "sound"}
OF_THE_VERSION = {"template_id", "version", "version_id", "type"}
# Its process is ended for time; for memory it is ended too, or says so itself.
SLOW = {"x": "ab" * 100_000, "work": 10_000}
LARGE = {"x": "a" * 100_000, "times": 10_000}


def batch(tasks: Tasks, template: str, items: object, **keywords: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Render a batch."""
    return tasks.call("render.batch", {"template_id": template, "items": items} | keywords)


def refused(tasks: Tasks, template: str, items: object, **keywords: Any) -> RefusedError:  # noqa: ANN401 - any JSON value
    """Return the refusal of a whole batch."""
    with pytest.raises(RefusedError) as caught:
        batch(tasks, template, items, **keywords)
    return caught.value


def stored(tasks: Tasks, template: str, items: object, **keywords: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Return the result as it is stored."""
    message = {"template_id": template, "items": items} | keywords
    answer = tasks.app.tasks["render.batch"].apply(kwargs=message).result
    assert isinstance(answer.stored, Sequence)
    return b"".join(answer.stored)


def one(tasks: Tasks, template: str, **keywords: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    """Return what ``render.one`` gives, written as the result of an item."""
    try:
        answer = tasks.call("render.one", {"template_id": template} | keywords)
    except RefusedError as error:
        return {"ok": False, "error": {"code": error.code, "details": error.details}}
    return {"ok": True} | {key: answer[key] for key in answer.keys() - OF_THE_VERSION}


def places(result: dict[str, Any]) -> set[tuple[str, str]]:
    """Return path and type of each problem of a failed item."""
    return {(problem["path"], problem["type"]) for problem in result["error"]["details"]}


@contextmanager
def worker(**limits: Any) -> Iterator[Lookup]:  # noqa: ANN401 - of Limits
    """Give what a task works with, in a process that has other limits."""
    ordinary = runtime.current().configuration
    process = Runtime(replace(ordinary, limits=replace(ordinary.limits, **limits)))
    try:
        with process.statements() as connection:
            yield Lookup(connection, process)
    finally:
        process.close()


def limited(work: Lookup, template: str, items: object, **keywords: Any) -> _Batch:  # noqa: ANN401 - any JSON value
    """Return a batch that is to be rendered with the limits of ``work``."""
    message = {"template_id": template, "items": items} | keywords
    return _Batch(parse(RenderBatch, message, work.configuration.limits), work)


def results(rendered: _Batch) -> list[Any]:
    """Return the results of a batch."""
    return [json.loads(result) for result in rendered.results()]


def deep(levels: int) -> list[Any]:
    """Return an array in an array, and so on."""
    nested: list[Any] = []
    for _ in range(levels - 1):
        nested = [nested]
    return nested


@pytest.fixture(scope="module")
def template(tasks: Tasks) -> str:
    """Give an e-mail in three languages whose values can do all that values can."""
    body = (
        '<p>{{ x }}{{ n|number }}</p><a href="{{ link }}">{{ any|default("-") }}</a>'
        "{% for a in range(work) %}{% for b in range(work) %}{{ x|upper|length }}"
        "{% endfor %}{% endfor %}"
        "{% for a in range(times) %}{{ x }}{% endfor %}"
    )
    return templates.published(
        tasks,
        body,
        subject="{{ x[:900] }}",
        variables=[
            {"name": "x", "type": "string"},
            {"name": "n", "type": "integer", "default": 1},
            {"name": "link", "type": "any", "default": "#"},
            {"name": "any", "type": "any", "required": False},
            {"name": "work", "type": "integer", "default": 0},
            {"name": "times", "type": "integer", "default": 0},
        ],
        translations={
            "de": {"body": f"<p>Hallo</p>{body}", "subject": "Hallo {{ x[:900] }}"},
            "zh-Hant": {"body": f"<p>您好</p>{body}"},
        },
    )


class TestResults:
    """What comes back for each item."""

    def test_a_batch_result_has_the_documented_fields(self, tasks: Tasks) -> None:
        """Every member, of the batch, of an item that was rendered and of one that was not."""
        template = templates.published(tasks, "Hi {{ x }}{{ y }}", type="sms", variables=["x", "y"])
        items = [{"key": "a", "variables": {"x": 1, "z": 2}}, {"key": 7, "variables": {}}]
        answer = batch(tasks, template, items, variables={"y": 3}, language="de-AT")
        alone = tasks.call(
            "render.one", {"template_id": template, "variables": {"x": 1, "y": 3}, "version": "1"}
        )
        assert list(answer) == [
            *("template_id", "version", "version_id", "type", "rendered", "failed", "items")
        ]
        assert answer == {
            "template_id": template,
            "version": "1",
            "version_id": alone["version_id"],
            "type": "sms",
            "rendered": 1,
            "failed": 1,
            "items": [
                {
                    "key": "a",
                    "ok": True,
                    "requested_language": "de-AT",
                    "language": "en",
                    "language_reason": "default",
                    "fallback_chain": ["de-AT", "en"],
                    "partials": [],
                    "stale": False,
                    "defaulted": [],
                    "unused": ["z"],
                    "subject": None,
                    "body": "Hi 13",
                    "encoding": "GSM-7",
                    "length": 5,
                    "segments": 1,
                    "ucs2_characters": [],
                    "content_sha256": alone["content_sha256"],
                },
                {
                    "key": 7,
                    "ok": False,
                    "error": {
                        "code": "variables_invalid",
                        "message": f"the variables do not match version '1' of '{template}': x",
                        "details": [
                            {
                                "path": "items[1].variables.x",
                                "type": "missing",
                                "message": "is required",
                            }
                        ],
                    },
                },
            ],
        }

    def test_order_and_keys_are_kept(self, tasks: Tasks, template: str) -> None:
        """Over several groups; text and whole numbers, the same one again too."""
        keys = ["a", 7, "7", "a", -1, 0, 10**30, "k" * 255, '"\\\n\u2028é😀', 7]
        keys += [f"key-{number}" for number in range(2 * GROUP)]
        items = [{"key": key, "variables": {"x": f"<{number}>"}} for number, key in enumerate(keys)]
        answer = batch(tasks, template, items)
        assert [(type(item["key"]), item["key"]) for item in answer["items"]] == [
            (type(key), key) for key in keys
        ]
        assert [item["subject"] for item in answer["items"]] == [
            f"<{number}>" for number in range(len(keys))
        ]
        assert (answer["rendered"], answer["failed"]) == (len(keys), 0)

    def test_an_empty_batch_has_no_results(self, tasks: Tasks, template: str) -> None:
        """An empty batch is answered, and tells its version."""
        answer = batch(tasks, template, [])
        assert (answer["rendered"], answer["failed"], answer["items"]) == (0, 0, [])
        assert (answer["template_id"], answer["version"]) == (template, "1")

    def test_an_items_values_override_the_shared_ones(self, tasks: Tasks) -> None:
        """By whole members: an object replaces an object."""
        template = templates.published(
            tasks,
            "{{ a }}{{ o.x }}{{ o.y|default('-') }}",
            type="push",
            variables=["a", {"name": "o", "type": "object"}],
        )
        items = [
            {"key": 1},
            {"key": 2, "variables": {"a": 2}},
            {"key": 3, "variables": {"o": {"x": 4}}},
            {"key": 4, "variables": {"a": None}},
            {"key": 5},
        ]
        shared = {"a": 1, "o": {"x": 2, "y": 3}}
        answer = batch(tasks, template, items, variables=shared)["items"]
        assert [item.get("body") for item in answer] == ["123", "223", "14-", None, "123"]
        assert places(answer[3]) == {("items[3].variables.a", "missing")}

    def test_each_item_has_a_language(self, tasks: Tasks, template: str) -> None:
        """Its own, else the batch's, else the version's; with its reason and chain."""
        items = [
            {"key": 1, "variables": SOUND, "language": language}
            for language in ("de", "de-AT", "zh-TW", "ja", "en", None)
        ]
        items.append({"key": 1, "variables": SOUND})
        answer = batch(tasks, template, items, language="de_CH")["items"]
        languages = [(item["requested_language"], item["language"]) for item in answer]
        assert languages == [
            ("de", "de"),
            ("de-AT", "de"),
            ("zh-TW", "zh-Hant"),
            ("ja", "en"),
            ("en", "en"),
            ("de-CH", "de"),
            ("de-CH", "de"),
        ]
        reasons = [item["language_reason"] for item in answer]
        assert reasons == ["exact", "closest", "closest", "default", "exact", "closest", "closest"]
        assert [item["subject"].split()[0] for item in answer] == [
            *("Hallo", "Hallo", "sound", "sound", "sound", "Hallo", "Hallo")
        ]
        own = batch(tasks, template, [{"key": 1, "variables": SOUND}])["items"][0]
        assert (own["language"], own["language_reason"]) == ("en", "own")

    def test_partials_are_reported_in_the_items_language(self, tasks: Tasks) -> None:
        """Each item has the partial that its language has."""
        partial = templates.published(
            tasks, "<p>Bye {{ x }}</p>", type="partial", translations={"de": {"body": "{{ x }}!"}}
        )
        template = templates.published(
            tasks,
            f'en{{% include "{partial}" %}}',
            variables=["x"],
            translations={"de": {"body": f'de{{% include "{partial}" %}}'}},
        )
        items = [{"key": language, "language": language} for language in ("de", "en")]
        answer = batch(tasks, template, items, variables={"x": "&"})["items"]
        assert [item["body"] for item in answer] == ["de&amp;!", "en<p>Bye &amp;</p>"]
        assert [item["partials"] for item in answer] == [
            [{"template_id": partial, "version": "1", "language": language}]
            for language in ("de", "en")
        ]

    def test_items_have_no_influence_on_each_other(self, tasks: Tasks) -> None:
        """What a template makes of shared values is gone with the item."""
        template = templates.published(
            tasks,
            "{% set ns = namespace(n=0) %}{% for v in xs %}{% set ns.n = ns.n + v %}{% endfor %}"
            "{% set xs = xs + [ns.n] %}{{ xs|join(',') }}/{{ o|tojson }}/{{ own|default('none') }}",
            type="sms",
            variables=[
                {"name": "xs", "type": "array"},
                {"name": "o", "type": "object"},
                {"name": "o.filled", "default": 9},
                {"name": "own", "required": False},
            ],
        )
        items: list[dict[str, Any]] = [{"key": number} for number in range(2 * GROUP)]
        items[1]["variables"] = {"own": 5, "xs": [7]}
        shared = {"xs": [1, 2], "o": {"a": 1}}
        answer = batch(tasks, template, items, variables=shared)["items"]
        assert answer[1]["body"] == '7,7/{"a": 1, "filled": 9}/5'
        assert {item["body"] for item in answer[:1] + answer[2:]} == {
            '1,2,3/{"a": 1, "filled": 9}/none'
        }
        assert {tuple(item["defaulted"]) for item in answer} == {("o.filled",)}

    def test_defaulted_and_unused_variables_are_reported_for_each_item(
        self, tasks: Tasks, template: str
    ) -> None:
        """``defaulted`` and ``unused``, also where two items differ in nothing else."""
        given: list[dict[str, Any]] = [
            {},
            {"n": 1},
            {"z": 1},
            {"n": 1, "z": 1},
            {"link": "#"},
            {"zz": 1},
        ]
        items = [
            {"key": number, "variables": SOUND | values} for number, values in enumerate(given)
        ]
        answer = batch(tasks, template, items)["items"]
        unused = [[], [], ["z"], ["z"], [], ["zz"]]
        assert [item["unused"] for item in answer] == unused
        assert [set(item["defaulted"]) for item in answer] == [
            {"n", "link", "work", "times"} - values.keys() for values in given
        ]

    def test_the_same_message_gives_the_same_bytes(self, tasks: Tasks, template: str) -> None:
        """Errors are identical too."""
        items = [
            {"key": 1, "variables": {"x": "a", "any": {"z": 1, "a": 2}}},
            {"key": 2, "variables": {"any": 1, "z": 1, "y": 2}},
            {"key": 3, "variables": SOUND, "language": "de"},
        ]
        assert len({stored(tasks, template, items) for _ in range(3)}) == 1

    def test_the_stored_bytes_are_the_answer_as_json(self, tasks: Tasks, template: str) -> None:
        """In UTF-8, whatever the texts hold; no number or text that other parsers refuse."""
        text = "".join(map(chr, range(0x250))) + "\u2028\u2029\ufeff\uffff😀</script>"
        items = [{"key": text[:255], "variables": {"x": text, text: 1}}, 7, {"key": []}]

        def refuse(constant: str) -> None:
            raise AssertionError(constant)

        stored_bytes = stored(tasks, template, items)
        parsed = json.loads(stored_bytes.decode(), parse_constant=refuse)
        assert parsed == batch(tasks, template, items)
        assert parsed["items"][0]["key"] == text[:255]
        assert [item["ok"] for item in parsed["items"]] == [True, False, False]

    def test_no_log_line_can_show_a_value(self, tasks: Tasks, template: str) -> None:
        """What Celery logs, and Flower shows, is the ``repr`` of the answer."""
        items = [
            {"key": "SEKRET", "variables": {"x": "SEKRET", "SEKRET": 1}},
            {"key": 2, "variables": {"n": "SEKRET"}, "language": "SEKRET"},
        ]
        message = {"template_id": template, "items": items, "variables": {"any": "SEKRET"}}
        answer = tasks.app.tasks["render.batch"].apply(kwargs=message).result
        shown = f"<template_id={template} type=email version=1 rendered=1 failed=1>"
        assert repr(answer) == shown


ITEM_ERRORS = [
    pytest.param(7, "invalid_message", {("", "object")}, id="number"),
    pytest.param(None, "invalid_message", {("", "object")}, id="null"),
    pytest.param([], "invalid_message", {("", "object")}, id="array"),
    pytest.param({}, "invalid_message", {("key", "missing")}, id="no key"),
    pytest.param(
        {"key": ""},
        "invalid_message",
        {("key", "key")},
        id="empty key",
    ),
    pytest.param(
        {"key": "k" * 256},
        "invalid_message",
        {("key", "key")},
        id="key too long",
    ),
    pytest.param(
        {"key": True},
        "invalid_message",
        {("key", "key")},
        id="key true",
    ),
    pytest.param(
        {"key": 1.0},
        "invalid_message",
        {("key", "key")},
        id="key with a fraction",
    ),
    pytest.param({"key": "\ud800"}, "invalid_message", {("key", "lone_surrogate")}, id="key half"),
    pytest.param(
        {"key": 1, "variable": {}},
        "invalid_message",
        {("variable", "extra_forbidden")},
        id="unknown member",
    ),
    pytest.param(
        {"key": 1, "\ud800": {}}, "invalid_message", {("", "lone_surrogate")}, id="member half"
    ),
    pytest.param(
        {"key": 1, "variables": []},
        "invalid_message",
        {("variables", "object")},
        id="variables array",
    ),
    pytest.param(
        {"key": 1, "variables": None},
        "invalid_message",
        {("variables", "object")},
        id="variables null",
    ),
    pytest.param(
        {"key": 1, "variables": SOUND, "language": "deutsch"},
        "invalid_message",
        {("language", "language_code")},
        id="bad language",
    ),
    pytest.param(
        {"key": 1, "variables": SOUND, "language": 1},
        "invalid_message",
        {("language", "string")},
        id="language number",
    ),
    pytest.param(
        {"key": 1, "variables": SOUND, "language": "\udfff"},
        "invalid_message",
        {("language", "lone_surrogate")},
        id="language half",
    ),
    pytest.param(
        {"key": 1, "variables": SOUND, "language": "ja"},
        "language_not_found",
        {("language", "not_found")},
        id="language not there",
    ),
    pytest.param(
        {"key": 1}, "variables_invalid", {("variables.x", "missing")}, id="variables left out"
    ),
    pytest.param(
        {"key": 1, "variables": {"x": 1, "n": "1", "X": 2}},
        "variables_invalid",
        {
            ("variables.x", "string"),
            ("variables.n", "integer"),
            ("variables.X", "unknown"),
        },
        id="mistyped",
    ),
    pytest.param(
        {"key": 1, "variables": {"x": None}},
        "variables_invalid",
        {("variables.x", "missing")},
        id="null",
    ),
    pytest.param(
        {"key": 1, "variables": {"x": "a", "any": "b" * 262_144}},
        "too_large",
        {("variables", "too_large")},
        id="too large",
    ),
    pytest.param(
        {"key": 1, "variables": {"x": "\ud800"}},
        "invalid_message",
        {("variables.x", "lone_surrogate")},
        id="value half",
    ),
    pytest.param(
        {"key": 1, "variables": {"x": "a", "any": {"\udc00": [1]}}},
        "invalid_message",
        {("variables.any", "lone_surrogate")},
        id="name half",
    ),
    pytest.param(
        {"key": 1, "variables": {"\ud800": 1}},
        "invalid_message",
        {("variables", "lone_surrogate")},
        id="name half, and a value left out",
    ),
    pytest.param(
        {"key": 1, "variables": {"x": "a", "any": [float("nan")]}},
        "invalid_message",
        {("variables.any[0]", "not_finite")},
        id="NaN",
    ),
    pytest.param(
        {"key": 1, "variables": {"x": "a", "any": [10**30, float("nan")]}},
        "invalid_message",
        {("variables.any[1]", "not_finite")},
        id="NaN beside a long number",
    ),
    pytest.param(
        {"key": 1, "variables": {"any": float("inf")}},
        "invalid_message",
        {("variables.any", "not_finite")},
        id="infinite, and a value left out",
    ),
    pytest.param(
        {"key": 1, "variables": {"x": "a", "any": deep(64)}},
        "invalid_message",
        {(f"variables.any{'[0]' * 63}", "too_deep")},
        id="too deep",
    ),
    pytest.param(
        {"key": 1, "variables": {"x": "a", "any": deep(900)}},
        "invalid_message",
        {(f"variables.any{'[0]' * 63}", "too_deep")},
        id="much too deep",
    ),
]
RENDER_ERRORS = [
    pytest.param(
        SOUND | {"link": "javascript:alert(1)"},
        "variables_invalid",
        {("body", "dangerous_address")},
        id="dangerous address",
    ),
    pytest.param(
        SOUND | {"any": [None]}, "variables_invalid", {("body", "null")}, id="null in an array"
    ),
    pytest.param(
        {"x": "a" * 200_000, "times": 11},
        "render_limit_exceeded",
        {("body", "limit")},
        id="output",
    ),
    pytest.param(SLOW, "render_limit_exceeded", {("", "limit")}, id="time"),
]


class TestBadItems:
    """An item that cannot be rendered is reported, and affects no other item."""

    @pytest.mark.parametrize(("item", "code", "problems"), ITEM_ERRORS)
    def test_an_invalid_item_is_reported_with_code_and_paths(
        self,
        tasks: Tasks,
        template: str,
        item: Any,  # noqa: ANN401 - any JSON value
        code: str,
        problems: set[tuple[str, str]],
    ) -> None:
        """With its code of the contract, each place in the message, and its key if it has one."""
        sound = {"key": "sound", "variables": SOUND, "language": "de"}
        answer = batch(tasks, template, [sound, item, sound], fallback="strict")
        bad = answer["items"][1]
        assert (bad["ok"], bad["error"]["code"]) == (False, code)
        assert places(bad) == {
            (f"items[1].{path}" if path else "items[1]", kind) for path, kind in problems
        }
        key = item.get("key") if isinstance(item, dict) else None
        assert bad["key"] == (key if type(key) is int or key == "" else None)
        expected = one(tasks, template, variables=SOUND, language="de") | {"key": "sound"}
        assert answer["items"][::2] == [expected, expected]
        assert (answer["rendered"], answer["failed"]) == (2, 1)

    @pytest.mark.parametrize(("values", "code", "problems"), RENDER_ERRORS)
    def test_an_item_that_fails_to_render_is_reported_as_by_render_one(
        self,
        tasks: Tasks,
        template: str,
        values: dict[str, Any],
        code: str,
        problems: set[tuple[str, str]],
    ) -> None:
        """As ``render.one`` tells it: places in the template are not the item's."""
        items = [{"key": number, "variables": {"x": str(number)}} for number in range(5)]
        items[2]["variables"] = values
        answer = batch(tasks, template, items)
        bad = answer["items"].pop(2)
        assert (bad["key"], bad["ok"], bad["error"]["code"]) == (2, False, code)
        assert places(bad) == problems
        bad["error"].pop("message")
        assert bad == one(tasks, template, variables=values) | {"key": 2}
        assert [item["subject"] for item in answer["items"]] == ["0", "1", "3", "4"]
        assert (answer["rendered"], answer["failed"]) == (4, 1)

    def test_items_that_exceed_limits_fail_alone(self, tasks: Tasks, template: str) -> None:
        """Each that ends the render process fails alone; all others are as without them."""
        items = [
            {"key": number, "variables": {"x": str(number)}, "language": language}
            for number, language in zip(
                range(2 * GROUP), ["de", "en", "zh-Hant"] * GROUP, strict=False
            )
        ]
        expected = batch(tasks, template, items)["items"]
        assert all(item["ok"] for item in expected)
        bombs = {0: SLOW, 17: LARGE, 18: {"n": 1}, GROUP - 1: SLOW, GROUP + 3: LARGE}
        for number, values in bombs.items():
            items[number]["variables"] = values
        answer = batch(tasks, template, items)
        codes = {item["key"]: item["error"]["code"] for item in answer["items"] if not item["ok"]}
        limit = "render_limit_exceeded"
        assert codes == dict.fromkeys(bombs, limit) | {18: "variables_invalid"}
        assert [
            (item, other)
            for item, other in zip(answer["items"], expected, strict=True)
            if item["key"] not in bombs and item != other
        ] == []
        assert (answer["rendered"], answer["failed"]) == (2 * GROUP - 5, 5)

    def test_the_memory_limit_applies_to_each_item(self, tasks: Tasks) -> None:
        """Together they need more memory than a render may have; 1.9 MB of each is allowed."""
        template = templates.published(tasks, "{{ x * 15 }}", type="sms", variables=["x"])
        items = [{"key": number} for number in range(30)]
        answer = batch(tasks, template, items, variables={"x": "a" * 130_000})
        assert (answer["rendered"], answer["failed"]) == (30, 0)
        assert {len(item["body"]) for item in answer["items"]} == {1_950_000}

    def test_errors_hold_no_values(self, tasks: Tasks, template: str) -> None:
        """Names and keys come back, and nothing else of an item."""
        wrong: list[dict[str, Any]] = [
            {"variables": {"x": ["SEKRET"], "n": "SEKRET"}},
            {"variables": {"x": "SEKRET", "link": "javascript:SEKRET"}},
            {"variables": {"x": "SEKRET" * 9_000, "times": 100}},
            {"variables": {"x": "SEKRET" * 50_000}},
            {"variables": {"x": "SEKRET\ud800"}},
            {"variables": "SEKRET"},
            {"variables": SOUND, "language": "SEKRET"},
        ]
        items = [{"key": number} | item for number, item in enumerate(wrong)]
        stored_bytes = stored(tasks, template, [*items, "SEKRET", {"key": ["SEKRET"]}])
        assert json.loads(stored_bytes)["rendered"] == 0
        assert b"SEKRET" not in stored_bytes


class TestWholeMessages:
    """Problems of the whole batch are reported once."""

    @pytest.mark.parametrize(
        ("keywords", "code", "paths"),
        [
            ({"variables": []}, "invalid_message", {"variables"}),
            ({"variables": {"x": "\ud800"}}, "invalid_message", {"variables.x"}),
            ({"variables": {"x": float("nan")}}, "invalid_message", {"variables.x"}),
            ({"variables": {"any": deep(64)}}, "invalid_message", {f"variables.any{'[0]' * 63}"}),
            ({"variables": {"x": "a" * 262_144}}, "too_large", {"variables"}),
            ({"language": "deutsch"}, "invalid_message", {"language"}),
            ({"fallback": "nearest"}, "invalid_message", {"fallback"}),
            ({"key": 1, "version": ""}, "invalid_message", {"key", "version"}),
            ({"version": "9"}, "version_not_found", {"version"}),
            ({"items": {}}, "invalid_message", {"items"}),
            ({"items": None, "template_id": "A"}, "invalid_message", {"items", "template_id"}),
            ({"template_id": "no-such-template"}, "template_not_found", {"template_id"}),
        ],
    )
    def test_invalid_keywords_of_a_batch_are_refused(
        self, tasks: Tasks, template: str, keywords: dict[str, Any], code: str, paths: set[str]
    ) -> None:
        """As for ``render.one``."""
        message = {"template_id": template, "items": [{"key": 1, "variables": SOUND}]} | keywords
        with pytest.raises(RefusedError) as caught:
            tasks.call("render.batch", message)
        assert (caught.value.code, caught.value.paths) == (code, paths)

    def test_items_are_required(self, tasks: Tasks, template: str) -> None:
        """A batch without the keyword is a mistake, not an empty one."""
        with pytest.raises(RefusedError) as caught:
            tasks.call("render.batch", {"template_id": template})
        assert (caught.value.code, caught.value.paths) == ("invalid_message", {"items"})

    def test_a_batch_needs_an_active_template_with_a_version(self, tasks: Tasks) -> None:
        """Whether there are items or not."""
        empty = templates.created(tasks)
        assert refused(tasks, empty, []).code == "version_not_found"
        off = templates.published(tasks, "x")
        tasks.call("template.update", {"template_id": off, "is_active": False})
        assert refused(tasks, off, [{"key": 1}]).code == "template_inactive"

    def test_a_batch_renders_an_older_version(self, tasks: Tasks) -> None:
        """For all items."""
        template = templates.published(tasks, "one", type="sms")
        tasks.call("version.publish", {"template_id": template, "body": "two"})
        answer = batch(tasks, template, [{"key": 1}, {"key": 2}], version="1")
        assert answer["version"] == "1"
        assert [item["body"] for item in answer["items"]] == ["one", "one"]


class TestLimits:
    """A batch is bounded in number, output and time."""

    def test_the_number_of_items_is_limited(self, tasks: Tasks) -> None:
        """1,000 pass, 1,001 are refused; the error has limit and size."""
        template = templates.published(tasks, "{{ x }}", type="sms", variables=["x"])
        items = [{"key": number, "variables": {"x": number}} for number in range(1000)]
        answer = batch(tasks, template, items)
        assert [item["body"] for item in answer["items"]] == [str(n) for n in range(1000)]
        error = refused(tasks, template, [*items, {"key": 1000}])
        assert (error.code, error.paths) == ("too_large", {"items"})
        assert error.details[0]["message"] == "1001 items were given, the limit is 1000"

    def test_the_variables_of_an_item_are_limited(self, tasks: Tasks) -> None:
        """Shared and own ones together, as ``render.one`` counts them; defaults do not count."""
        template = templates.published(
            tasks,
            "{{ a|length }}{{ b|length }}{{ c|length }}",
            type="sms",
            variables=["a", "b", {"name": "c", "type": "string", "default": "c" * 1000}],
        )
        of_names = len('{"a":"","b":""}')
        shared = {"a": "ä" * 50_000}
        fits = "b" * (262_144 - of_names - 100_000)
        items: list[dict[str, Any]] = [
            {"key": 0, "variables": {"b": fits}},
            {"key": 1, "variables": {"b": f"{fits}b"}},
        ]
        answer = batch(tasks, template, items, variables=shared)["items"]
        assert answer[0]["body"] == f"50000{len(fits)}1000"
        assert answer[1]["error"]["code"] == "too_large"
        assert answer[1]["error"]["details"] == [
            {
                "path": "items[1].variables",
                "type": "too_large",
                "message": "variables is 262145 bytes, the limit is 262144",
            }
        ]
        for item in items:
            alone = one(tasks, template, variables=shared | item["variables"])
            assert alone["ok"] is (item is items[0])

    def test_the_total_output_of_a_batch_is_limited(self, tasks: Tasks, template: str) -> None:
        """What does not fit any more is refused, with the limit; what fitted stays."""
        items = [{"key": number, "variables": {"x": "a" * 900}} for number in range(3 * GROUP)]
        size = len(stored(tasks, template, items[:1]))
        with worker(batch_output_bytes=10 * size) as work:
            rendered = limited(work, template, items)
            answer = results(rendered)
            about = rendered.about()
        fitted = sum(item["ok"] for item in answer)
        assert 10 <= fitted < 15
        assert (about["rendered"], about["failed"]) == (fitted, len(items) - fitted)
        assert [item["key"] for item in answer] == list(range(len(items)))
        message = f"the results of the batch are more than {10 * size} bytes"
        assert all(item["ok"] for item in answer[:fitted])
        assert [item["error"] for item in answer[fitted:]] == [
            {
                "code": "render_limit_exceeded",
                "message": message,
                "details": [{"path": "items", "type": "limit", "message": message}],
            }
        ] * (len(items) - fitted)

    @pytest.mark.parametrize("values", [{"x": "a"}, {"x": 1}], ids=["listed as unused", "refused"])
    def test_reported_names_count_towards_the_output_limit(
        self, template: str, values: dict[str, Any]
    ) -> None:
        """The names of shared values that nothing uses come back with each item."""
        shared = {f"name-{number}": 1 for number in range(1000)}
        items = [{"key": number, "variables": values} for number in range(3 * GROUP)]
        with worker(batch_output_bytes=1_000_000) as work:
            results = limited(work, template, items, variables=shared)
            answer = results.results()
            about = results.about()
        assert len(answer) == len(items)
        assert about["rendered"] + about["failed"] == len(items)
        assert sum(map(len, answer)) < 1_000_000 + 300 * len(items)

    def test_items_that_start_after_the_deadline_are_refused(self, template: str) -> None:
        """Then it is refused with the limit, by the render process as by the worker."""
        items = [{"key": number, "variables": SOUND} for number in range(GROUP + 1)]
        message = "the batch took more than 12 s"
        with worker(batch_seconds=12) as work:
            rendered = limited(work, template, items)
            rendered._deadline = time.monotonic() - 1
            answer = results(rendered)
            with work.runtime.renderer.stream(time.monotonic() - 1) as stream:
                text = rendered._version.in_language(None).text
                stream.put([text], [(0, b"{}"), (0, b"{}")])
                of_the_process = [json.loads(item)["error"] for item in stream.take()]
        problem = {"path": "items", "type": "limit", "message": message}
        error = {"code": "render_limit_exceeded", "message": message, "details": [problem]}
        assert [item["error"] for item in answer] == [error] * len(items)
        assert of_the_process == [[*error.values()]] * 2

    def test_slow_items_do_not_add_up(self, template: str) -> None:
        """When the time is over no other is begun, so a batch of bombs has an end."""
        items = [{"key": number, "variables": SLOW} for number in range(15)]
        with worker(batch_seconds=0.5, render_seconds=0.2) as work:
            answer = results(limited(work, template, items))
        assert {item["error"]["code"] for item in answer} == {"render_limit_exceeded"}
        begun = [item for item in answer if places(item) != {("items", "limit")}]
        assert len(begun) <= 3


def json_values(*, finite: bool) -> st.SearchStrategy[Any]:
    """Return a strategy of what JSON holds, or what some take it to hold."""
    floats = st.floats(allow_nan=not finite, allow_infinity=not finite)
    return st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), floats, st.text(max_size=5)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=5,
    )


def variables(*, finite: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy of variables that mostly fit the template."""
    addresses = ["https://example.org/?a=1&b=2", "#", "JavaScript:x", "data:x", " java\nscript:", 1]
    return st.fixed_dictionaries(
        {},
        optional={
            "x": st.one_of(st.text(max_size=20), st.text("<&>\"'\0\n", max_size=9), st.none()),
            "n": st.one_of(st.integers(), st.integers(), st.none(), st.text(max_size=3)),
            "link": st.sampled_from(addresses),
            "any": json_values(finite=finite),
            "other": st.integers(),
        },
    )


LANGUAGES = st.sampled_from([None, "de", "en", "de-AT", "zh_tw", "ja", "xx-nonsense"])
ITEMS = st.lists(st.tuples(variables(finite=False), LANGUAGES), max_size=5)


@SAFE
@given(
    shared=variables(finite=True),
    items=ITEMS,
    language=LANGUAGES.filter(lambda tag: tag != "xx-nonsense"),
    fallback=st.sampled_from(["closest", "strict", "default"]),
)
def test_each_item_equals_the_answer_of_render_one(  # noqa: PLR0913, PLR0917 - two fixtures, four parts of a message
    tasks: Tasks,
    template: str,
    shared: dict[str, Any],
    items: list[tuple[dict[str, Any], str | None]],
    language: str | None,
    fallback: str,
) -> None:
    """Whatever the values and languages are: every field, or code and problems."""
    message = [
        {"key": number, "variables": values, "language": own}
        for number, (values, own) in enumerate(items)
    ]
    answer = batch(tasks, template, message, variables=shared, language=language, fallback=fallback)
    for number, (result, (values, own)) in enumerate(zip(answer["items"], items, strict=True)):
        expected = one(
            tasks,
            template,
            variables=shared | values,
            language=own if own is not None else language,
            fallback=fallback,
        )
        for problem in expected.get("error", {}).get("details", []):
            if problem["path"].split(".")[0] in {"variables", "language"}:
                problem["path"] = f"items[{number}].{problem['path']}"
        result.get("error", {}).pop("message", None)
        assert result == expected | {"key": number}
    assert answer["rendered"] == sum(item["ok"] for item in answer["items"])
    assert answer["rendered"] + answer["failed"] == len(items)
