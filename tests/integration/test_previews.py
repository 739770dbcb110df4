"""``render.preview``: what a text would give, and what would be refused, without storing it."""

import hashlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.factories import templates
from tests.support.cases import each
from tests.support.producer import RefusedError
from tests.support.rows import Rows
from tests.support.tasks import Tasks
from worker.local import LocalStack

SAFE = settings(
    max_examples=80,
    deadline=None,
    # The partial is made once and only read.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
TYPES = ("email", "in_app", "sms", "push", "partial")
PARTS = {"subject", "body", "content_sha256"}
PARTS_OF = {
    "email": {"text"},
    "in_app": set(),
    "sms": {"encoding", "length", "segments", "ucs2_characters"},
    "push": {"title"},
    "partial": set(),
}


def preview(tasks: Tasks, body: str = "x", **keywords: Any) -> dict[str, Any]:  # noqa: ANN401 - a message's keywords
    """Preview a text."""
    return tasks.call("render.preview", {"type": "email", "body": body} | keywords)


def refused(tasks: Tasks, body: str = "x", **keywords: Any) -> RefusedError:  # noqa: ANN401 - a message's keywords
    """Return the refusal of a preview."""
    with pytest.raises(RefusedError) as caught:
        preview(tasks, body, **keywords)
    return caught.value


@pytest.fixture(scope="module")
def partial(tasks: Tasks) -> str:
    """Give a partial in two languages, with a variable that it needs and one that it does not."""
    return templates.published(
        tasks,
        "<p>From {{ sender }} {{ count|number }}</p>",
        type="partial",
        variables=["sender", {"name": "count", "type": "number", "default": 1234.5}],
        translations={"de": {"body": "<p>Von {{ sender }} {{ count|number }}</p>"}},
    )


def test_a_preview_has_the_documented_fields(tasks: Tasks, partial: str) -> None:
    """Every member, and what each of them says."""
    body = f'<p>{{{{ x }}}} {{{{ n }}}}</p>{{% include "{partial}" %}}'
    schema = ["x", {"name": "n", "type": "integer", "default": 5}, {"name": "sender"}]
    answer = preview(
        tasks,
        body,
        subject="For {{ x }}",
        variables_schema=schema,
        variables={"x": "A&B", "sender": "me", "z": 1},
        language="de_at",
    )
    finished = "<p>A&amp;B 5</p><p>Von me 1.234,5</p>"
    assert answer == {
        "type": "email",
        "language": "de-AT",
        "partials": [{"template_id": partial, "version": "1", "language": "de"}],
        "variables": [
            {"name": "x", "type": "any", "required": True},
            {"name": "n", "type": "integer", "required": True, "default": 5},
            {"name": "sender", "type": "any", "required": True},
        ],
        "subject": "For A&B",
        "body": finished,
        "text": "A&B 5\n\nVon me 1.234,5",
        "content_sha256": hashlib.sha256(f"For A&B\0{finished}".encode()).hexdigest(),
        "defaulted": ["n", "count"],
        "unused": ["z"],
        "warnings": [],
    }


@each("kind", TYPES)
def test_each_type_has_its_parts(tasks: Tasks, kind: str) -> None:
    """And no others, not as null either."""
    answer = preview(tasks, "<p>{{ x }}</p>", type=kind, variables={"x": "<"})
    about = {"type", "language", "partials", "variables", "defaulted", "unused", "warnings"}
    assert answer.keys() == PARTS | PARTS_OF[kind] | about
    assert answer["body"] == ("<p><</p>" if kind in {"sms", "push"} else "<p>&lt;</p>")
    assert answer["subject"] is None


def test_a_preview_stores_nothing(tasks: Tasks, servers: LocalStack, partial: str) -> None:
    """Not by a preview that is answered, nor by one that is refused."""
    rows = Rows(servers.postgres.url)

    def counts() -> list[tuple[Any, ...]]:
        return rows.run(
            "SELECT (SELECT count(*) FROM templates), (SELECT count(*) FROM template_versions),"
            " (SELECT count(*) FROM template_translations),"
            " (SELECT count(*) FROM template_partials),"
            " (SELECT count(*) FROM idempotency_records)"
        )

    before = counts()
    assert preview(tasks, f'{{% include "{partial}" %}}', variables={"sender": "x"})["partials"]
    assert refused(tasks, "{{").code == "template_syntax"
    assert refused(tasks, "{{ x }}", variables={}).code == "variables_invalid"
    assert counts() == before


class TestValues:
    """What the text is rendered with."""

    SCHEMA = (
        {"name": "user.name", "type": "string", "example": "Ada"},
        {"name": "n", "type": "integer", "example": 2, "default": 1},
        {"name": "maybe", "type": "string", "required": False, "example": "yes"},
        {"name": "not", "type": "string", "required": False},
    )
    BODY = "{{ user.name }} {{ n }} {{ maybe|default('-') }} {{ not|default('-') }}"

    def test_examples_replace_omitted_variables(self, tasks: Tasks) -> None:
        """They come before defaults; what has neither, and is not needed, is left out."""
        schema = [dict(variable) for variable in self.SCHEMA]
        schema[3]["name"] = "other"
        body = self.BODY.replace("not", "other")
        answer = preview(tasks, body, type="sms", variables_schema=schema)
        assert answer["body"] == "Ada 2 yes -"
        assert (answer["defaulted"], answer["unused"]) == ([], [])

    def test_examples_are_ignored_if_variables_are_given(self, tasks: Tasks) -> None:
        """Not even when nothing is given; defaults do, as in every render."""
        schema = [dict(variable) for variable in self.SCHEMA[:3]]
        body = self.BODY.split(" {{ not")[0]
        error = refused(tasks, body, type="sms", variables_schema=schema, variables={})
        assert (error.code, error.paths) == ("variables_invalid", {"variables.user.name"})
        values = {"user": {"name": "Zoë"}}
        answer = preview(tasks, body, type="sms", variables_schema=schema, variables=values)
        assert (answer["body"], answer["defaulted"]) == ("Zoë 1 -", ["n"])

    def test_without_an_example_there_are_samples(self, tasks: Tasks) -> None:
        """The same as in a publish, for every type and for what has none."""
        schema = [{"name": "a", "example": 1}, {"name": "b"}, {"name": "c", "default": "d"}]
        answer = preview(tasks, "{{ a }} {{ b }} {{ c }}", type="sms", variables_schema=schema)
        assert (answer["body"], answer["defaulted"]) == ("1 text d", ["c"])
        body = "{% for i in items %}{{ i.sku }}{{ i.price | currency('EUR') }}{% endfor %}"
        assert preview(tasks, body, type="sms")["body"] == "text€1.00"
        typed = [{"name": "items[].price", "type": "decimal"}, {"name": "items[].sku"}]
        answer = preview(tasks, body, type="sms", variables_schema=typed)
        assert answer["body"] == "text€12.50"

    def test_an_omitted_schema_is_inferred(self, tasks: Tasks) -> None:
        """It is inferred as by a publish, and returned."""
        body = "{{ a.b }}{% if c is defined %}{{ c }}{% endif %}"
        answer = preview(tasks, body, variables={"a": {"b": 1}})
        assert answer["variables"] == [
            {"name": "a.b", "type": "any", "required": True},
            {"name": "c", "type": "any", "required": False},
        ]
        assert answer["body"] == "1"


class TestLanguage:
    """The language that a text is written in."""

    @each(
        ("language", "language_name", "shown"),
        [
            ("de", "de", "1.234,50 €"),
            ("en_us", "en-US", "€1,234.50"),
            (None, "en", "€1,234.50"),
        ],
    )
    def test_filters_use_the_previews_language(
        self, tasks: Tasks, language: str | None, language_name: str, shown: str
    ) -> None:
        """Without one it is the service's default language."""
        values = {"x": 1234.5}
        answer = preview(
            tasks, "{{ x|currency('EUR') }}", type="sms", variables=values, language=language
        )
        assert answer["language"] == language_name
        assert answer["body"] == shown

    def test_partials_are_previewed_in_the_closest_language(
        self, tasks: Tasks, partial: str
    ) -> None:
        """Each of them tells its own."""
        body = f'{{% include "{partial}" %}}'
        values = {"sender": "x", "count": 1.5}
        for language, used, shown in (
            ("de-CH", "de", "<p>Von x 1,5</p>"),
            ("ja", "en", "<p>From x 1.5</p>"),
        ):
            answer = preview(tasks, body, variables=values, language=language)
            assert answer["body"] == shown
            assert [partial["language"] for partial in answer["partials"]] == [used]


def test_a_layout_is_extended(tasks: Tasks) -> None:
    """Partials of partials are included too, and all are listed."""
    inner = templates.published(tasks, "<i>{{ x }}</i>", type="partial")
    layout = templates.published(
        tasks,
        f'<main>{{% block content %}}-{{% endblock %}}</main>{{% include "{inner}" %}}',
        type="partial",
    )
    body = f'{{% extends "{layout}" %}}{{% block content %}}<b>{{{{ y }}}}</b>{{% endblock %}}'
    answer = preview(tasks, body, variables={"x": 1, "y": "&"})
    assert answer["body"] == "<main><b>&amp;</b></main><i>1</i>"
    assert {used["template_id"] for used in answer["partials"]} == {inner, layout}


@each(
    ("keywords", "code", "problems"),
    [
        ({"type": "fax"}, "invalid_message", {("type", "literal_error")}),
        ({"body": ""}, "invalid_message", {("body", "string_too_short")}),
        ({"body": "a\0"}, "invalid_message", {("body", "nul")}),
        ({"template_id": "x"}, "invalid_message", {("template_id", "extra_forbidden")}),
        ({"language": "deutsch"}, "invalid_message", {("language", "language_code")}),
        ({"variables": []}, "invalid_message", {("variables", "object")}),
        ({"variables": {"x": "\ud800"}}, "invalid_message", {("variables.x", "lone_surrogate")}),
        (
            {"variables_schema": ["a", "a"]},
            "invalid_message",
            {("variables_schema", "declared_twice")},
        ),
        (
            {"variables_schema": [{"name": "1"}]},
            "invalid_message",
            {("variables_schema[0].name", "variable_name")},
        ),
        (
            {"variables_schema": [{"name": "x", "type": "integer", "example": "a"}]},
            "variables_invalid",
            {("variables_schema[0].example", "integer")},
        ),
        (
            {
                "body": "{{",
                "variables_schema": ["y", {"name": "x", "type": "url", "default": "ftp:"}],
            },
            "template_syntax",
            {("body", "syntax_error"), ("variables_schema[1].default", "url")},
        ),
        (
            {"subject": "{{ y }}", "variables_schema": ["x"]},
            "placeholder_mismatch",
            {("subject", "undeclared")},
        ),
        ({"body": "{{ x|nope }}"}, "template_syntax", {("body", "unknown_filter")}),
        ({"body": "<a href={{ x }}>"}, "template_syntax", {("body", "unsafe_placeholder")}),
        (
            {"body": '{% include "no-such-partial" %}'},
            "template_syntax",
            {("body", "partial_not_found")},
        ),
        (
            {"body": "{{ n + 1 }}", "variables_schema": [{"name": "n", "type": "string"}]},
            "template_syntax",
            {("body", "invalid_operation")},
        ),
    ],
)
def test_a_preview_refuses_what_a_publish_refuses(
    tasks: Tasks, keywords: dict[str, Any], code: str, problems: set[tuple[str, str]]
) -> None:
    """By the same gate; places are those of this message."""
    error = refused(tasks, **({"body": "x"} | keywords))
    assert error.code == code
    assert {(problem["path"], problem["type"]) for problem in error.details} == problems


@each(
    ("keywords", "code", "problems"),
    [
        ({"variables": {}}, "variables_invalid", {("variables.x", "missing")}),
        ({"variables": {"x": None}}, "variables_invalid", {("variables.x", "missing")}),
        (
            {"variables": {"x": 1, "z": 1}},
            "variables_invalid",
            {("variables.x", "string"), ("variables.z", "unknown")},
        ),
        ({"variables": {"x": "a" * 262_144}}, "too_large", {("variables", "too_large")}),
        (
            {"variables": {"x": "javascript:x"}},
            "variables_invalid",
            {("body", "dangerous_address")},
        ),
        (
            {"variables": {"x": "a" * 999}, "subject": "{{ x }}"},
            "render_limit_exceeded",
            {("subject", "limit")},
        ),
        ({"variables": {"x": "a", "n": 10_000}}, "render_limit_exceeded", None),
    ],
)
def test_a_preview_refuses_what_a_render_refuses(
    tasks: Tasks, keywords: dict[str, Any], code: str, problems: set[tuple[str, str]] | None
) -> None:
    """With the same codes and places."""
    body = (
        '<a href="{{ x }}">x</a>'
        "{% for a in range(n) %}{% for b in range(n) %}{% for c in range(n) %}{% endfor %}"
        "{% endfor %}{% endfor %}"
    )
    schema = [{"name": "x", "type": "string"}, {"name": "n", "type": "integer", "default": 0}]
    error = refused(tasks, body, variables_schema=schema, **keywords)
    assert error.code == code
    if problems is not None:
        assert {(problem["path"], problem["type"]) for problem in error.details} == problems


def test_inactive_and_missing_partials_are_refused(tasks: Tasks) -> None:
    """Nor is a template that is none, or has no version."""
    off = templates.published(tasks, "x", type="partial")
    tasks.call("template.update", {"template_id": off, "is_active": False})
    for name in (off, templates.created(tasks, type="partial"), templates.published(tasks, "x")):
        error = refused(tasks, f'a\n {{% include "{name}" %}}')
        (problem,) = error.details
        assert (error.code, problem["type"]) == ("template_syntax", "partial_not_found")
        assert (problem["line"], problem["column"]) == (2, 2)


def test_no_log_line_can_show_a_text(tasks: Tasks) -> None:
    """What Celery logs, and Flower shows, is the ``repr`` of the answer."""
    message = {"type": "email", "body": "<p>{{ x }}</p>", "variables": {"x": "SEKRET"}}
    answer = tasks.app.tasks["render.preview"].apply(kwargs=message).result
    assert repr(answer) == "<type=email language=en characters=13>"


PIECES = (
    "<p>{{ x }}</p>",
    "<a href=\"{{ link }}\" title='{{ x }}'>{{ x|upper }}</a>",
    "{{ n|number }} {{ n|currency('EUR') }}",
    "{% if flag %}yes{% else %}{{ x }}{% endif %}",
    "{% for item in list %}<li>{{ item }}, {{ loop.index }}</li>{% endfor %}",
    "{{ maybe|default('nothing') }}",
    "{{ user.name }}{{ user.age }}",
    "{{ x }",
    "{{ x|nope }}",
    "<a {{ x }}>",
    "{{ x / n }}",
    "ä😀 & &amp; \r\n",
    "PARTIAL",
)
SCHEMA = (
    {"name": "x", "type": "string", "example": "an example"},
    {"name": "link", "type": "url", "default": "https://example.org/?a=b&c=d"},
    {"name": "n", "type": "number"},
    {"name": "flag", "type": "boolean", "default": False},
    {"name": "list", "type": "array", "example": ["a", "<b>"]},
    {"name": "maybe", "required": False},
    {"name": "user", "type": "object"},
    {"name": "sender", "type": "string", "example": "us"},
)
TEXT = st.text(st.sampled_from("<>&\"'{}%\r\n\0 a") | st.characters(codec="utf-8"), max_size=20)
VALUES = st.fixed_dictionaries(
    {"n": st.sampled_from([0, 1, -2.5, 1234567.891]), "x": TEXT, "sender": TEXT},
    optional={
        "link": st.sampled_from(["https://example.org/", "mailto:a@b", "javascript:x", 1]),
        "flag": st.booleans() | st.none(),
        "list": st.lists(TEXT | st.integers() | st.none(), max_size=3),
        "maybe": TEXT | st.integers() | st.none(),
        "user": st.fixed_dictionaries({"name": TEXT}, optional={"age": st.integers()}),
        "other": st.just(1),
    },
)


def answered(tasks: Tasks, task: str, message: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return the answer to a message and true, or what it was refused with and false."""
    try:
        return tasks.call(task, message), True
    except RefusedError as error:
        return {"code": error.code, "details": error.details}, False


@SAFE
@given(
    kind=st.sampled_from(TYPES),
    subject=st.none() | st.sampled_from([*PIECES[:3], *PIECES[5:8]]),
    pieces=st.lists(st.sampled_from(PIECES), min_size=1, max_size=4),
    values=VALUES,
    has_schema=st.booleans(),
    language=st.sampled_from([None, "en", "de", "ja", "pt-BR"]),
)
def test_a_preview_equals_a_render_after_a_publish(  # noqa: PLR0913 - two fixtures, six parts of a message
    tasks: Tasks,
    partial: str,
    *,
    kind: str,
    subject: str | None,
    pieces: list[str],
    values: dict[str, Any],
    has_schema: bool,
    language: str | None,
) -> None:
    """Every part of it; and what either of the two would refuse, it refuses in the same way."""
    body = "".join(pieces).replace("PARTIAL", f'{{% include "{partial}" %}}')
    schema = list(SCHEMA) if has_schema else None
    text = {"body": body, "subject": subject}
    outcome, is_answered = answered(
        tasks,
        "render.preview",
        text
        | {"type": kind, "variables_schema": schema, "variables": values, "language": language},
    )
    template = templates.created(tasks, type=kind)
    metadata = {"language": language} if language is not None else {}
    message = text | {"template_id": template, "variables": schema, "metadata": metadata}
    published, is_published = answered(tasks, "version.publish", message)
    if not is_published:
        assert (outcome, is_answered) == (published, False)
        return
    message = {"template_id": template, "variables": values}
    rendered, is_rendered = answered(tasks, "render.one", message)
    assert is_answered is is_rendered
    if not is_rendered:
        assert outcome == rendered
        return
    assert outcome.pop("variables") == published["variables"]
    del outcome["warnings"]
    assert outcome == {key: rendered[key] for key in outcome}
    of_stored_ones = {"template_id", "version", "version_id", "requested_language"}
    assert rendered.keys() - outcome.keys() == of_stored_ones | {
        *("language_reason", "fallback_chain", "stale")
    }


@each(
    "body",
    [
        "{{ items | sum(attribute='price') }}",
        "{{ items | map(attribute='price') | sum }}",
        "{{ items | sum }}",
        *(f"{{{{ n | {name} }}}}" for name in ("round", "abs", "int", "float")),
    ],
)
def test_a_preview_calculates_with_values_that_nobody_gave(tasks: Tasks, body: str) -> None:
    """As a publish does: only producers know the values."""
    assert preview(tasks, body, type="sms")["body"] == "1"
