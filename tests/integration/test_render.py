"""``render.one``: from a stored template and values to a finished text."""

import hashlib
import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.queries import sources
from tests.factories import templates
from tests.support.cases import each
from tests.support.producer import RefusedError
from tests.support.tasks import Tasks

SAFE = settings(
    max_examples=100,
    deadline=None,
    # The template is made once and only read.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def render(tasks: Tasks, template: str, **keywords: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Render a template."""
    return tasks.call("render.one", {"template_id": template} | keywords)


def refused(tasks: Tasks, template: str, **keywords: Any) -> RefusedError:  # noqa: ANN401 - any JSON value
    """Return the refusal of a render."""
    with pytest.raises(RefusedError) as caught:
        render(tasks, template, **keywords)
    return caught.value


def test_a_render_has_the_documented_fields(tasks: Tasks) -> None:
    """Every member, and what each of them says."""
    template = templates.published(
        tasks,
        "<p>{{ greeting }} {{ user.name }}: {{ amount }}</p>",
        subject="For {{ user.name }}",
        variables=[
            {"name": "user.name", "type": "string"},
            {"name": "amount", "type": "number", "default": 0},
            {"name": "greeting", "type": "string", "default": "Dear"},
        ],
        translations={"de": {"body": "<p>{{ greeting }} {{ user.name }}</p>\n{{ amount }}"}},
    )
    variables = {"user": {"name": "A&B", "age": 1}, "amount": 5, "extra": True}
    answer = render(tasks, template, variables=variables, language="de-AT")
    uuid.UUID(answer.pop("version_id"))
    subject, body = "For A&B", "<p>Dear A&amp;B</p>\n5"
    assert answer == {
        "template_id": template,
        "version": "1",
        "type": "email",
        "requested_language": "de-AT",
        "language": "de",
        "language_reason": "closest",
        "fallback_chain": ["de-AT", "de"],
        "partials": [],
        "stale": False,
        "subject": subject,
        "body": body,
        "text": "Dear A&B\n\n5",
        "defaulted": ["greeting"],
        "unused": ["user.age", "extra"],
        "content_sha256": hashlib.sha256(f"{subject}\0{body}".encode()).hexdigest(),
    }


def test_the_same_message_gives_the_same_bytes(tasks: Tasks) -> None:
    """Also where the values are objects, whose members have an order."""
    template = templates.published(tasks, "{{ o|tojson }}{% for k in o %}{{ k }}{% endfor %}")
    variables = {"o": {"z": 1, "a": {"y": 2, "b": 3}}}
    answers = [render(tasks, template, variables=variables) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]


@each("kind", ["email", "in_app", "partial"])
def test_html_bodies_escape_values(tasks: Tasks, kind: str) -> None:
    """And subjects do not."""
    template = templates.published(tasks, "{{ x }}", subject="{{ x }}", type=kind)
    answer = render(tasks, template, variables={"x": "<b>&'\""})
    assert answer["body"] == "&lt;b&gt;&amp;&#x27;&quot;"
    assert answer["subject"] == "<b>&'\""


@each("kind", ["sms", "push"])
def test_text_bodies_do_not_escape_values(tasks: Tasks, kind: str) -> None:
    """An SMS never shows ``&amp;``."""
    template = templates.published(tasks, "{{ x }}", type=kind)
    assert render(tasks, template, variables={"x": "<b>&'\""})["body"] == "<b>&'\""


def test_a_subject_may_be_absent(tasks: Tasks) -> None:
    """Then it is null, for every type."""
    for kind in ("email", "sms"):
        answer = render(tasks, templates.published(tasks, "x", type=kind))
        assert answer["subject"] is None
        assert answer["content_sha256"] == hashlib.sha256(b"\0x").hexdigest()


@pytest.fixture(scope="module")
def echo(tasks: Tasks) -> str:
    """Give a template whose subject and body are the value ``x``."""
    return templates.published(tasks, "<p>{{ x }}</p>", subject="{{ x }}", variables=["x"])


@SAFE
@given(value=st.text(st.sampled_from("\r\n\0\t\u2028\u202e<>&a ") | st.characters(codec="utf-8")))
def test_no_value_adds_a_header_or_a_tag(tasks: Tasks, echo: str, value: str) -> None:
    """CR, LF, NUL, bidi controls and markup in values, through the whole path."""
    answer = render(tasks, echo, variables={"x": value})
    assert len(answer["subject"].splitlines()) <= 1
    assert not set(answer["subject"]) & set("\0\u202e\u2066\r\n")
    inner = answer["body"].removeprefix("<p>").removesuffix("</p>")
    assert not set(inner) & set("<>\"'\0")


@pytest.mark.parametrize(
    ("keywords", "code", "paths"),
    [
        ({"variables": {"x": "\ud800"}}, "invalid_message", {"variables.x"}),
        ({"variables": {"x": float("nan")}}, "invalid_message", {"variables.x"}),
        ({"variables": {"x": "a" * 262_144}}, "too_large", {"variables"}),
        ({"variables": []}, "invalid_message", {"variables"}),
        ({"variables": {"x": 1}, "language": "deutsch"}, "invalid_message", {"language"}),
        ({"variables": {"x": 1}, "fallback": "nearest"}, "invalid_message", {"fallback"}),
        ({"variables": {"x": 1}, "version": "9"}, "version_not_found", {"version"}),
        ({"variables": {}}, "variables_invalid", {"variables.x"}),
        ({"variables": {"x": None}}, "variables_invalid", {"variables.x"}),
        ({"variables": {"X": 1}}, "variables_invalid", {"variables.x", "variables.X"}),
        ({"variables": {"x": "a" * 999}}, "render_limit_exceeded", {"subject"}),
        (
            {"variables": {"x": "\0"}, "version": "", "language": "x", "y": 1},
            "invalid_message",
            {"version", "language", "y"},
        ),
    ],
)
def test_values_that_do_not_match_their_variables_are_refused(
    tasks: Tasks, echo: str, keywords: dict[str, Any], code: str, paths: set[str]
) -> None:
    """With its code of the contract and every place that is wrong."""
    error = refused(tasks, echo, **keywords)
    assert (error.code, error.paths) == (code, paths)


def test_a_script_url_is_refused_by_the_type_url(tasks: Tasks) -> None:
    """Escaping does not help against ``javascript:``; the type ``url`` does."""
    template = templates.published(
        tasks, '<a href="{{ link }}">x</a>', variables=[{"name": "link", "type": "url"}]
    )
    for link in (
        "javascript:alert(1)",
        "JAVASCRIPT:alert(1)",
        "data:text/html,x",
        "\tjavascript:x",
    ):
        error = refused(tasks, template, variables={"link": link})
        assert (error.code, error.paths) == ("variables_invalid", {"variables.link"})
    rendered = render(tasks, template, variables={"link": "https://example.org?a=1&b='"})
    assert rendered["body"].count("<") == 2
    assert "a=1&amp;b=&#x27;" in rendered["body"]


def test_every_invalid_variable_is_reported(tasks: Tasks) -> None:
    """Missing, mistyped and unknown ones at once, and none of their values."""
    template = templates.published(
        tasks,
        "{{ a }}{{ b }}{{ c.d }}",
        variables=[
            "a",
            {"name": "b", "type": "integer"},
            {"name": "c.d", "type": "email"},
        ],
    )
    error = refused(
        tasks, template, variables={"b": "SEKRET", "c": {"d": "SEKRET"}, "aa": "SEKRET"}
    )
    assert error.code == "variables_invalid"
    assert {(detail["path"], detail["type"]) for detail in error.details} == {
        ("variables.a", "missing"),
        ("variables.b", "integer"),
        ("variables.c.d", "email"),
        ("variables.aa", "unknown"),
    }
    assert "SEKRET" not in str(error.args)


def test_errors_of_the_render_hold_no_values(tasks: Tasks) -> None:
    """What the engine says about a value does not quote it."""
    template = templates.published(tasks, "{{ x / y }}")
    error = refused(tasks, template, variables={"x": 987654321, "y": 0})
    assert error.code == "variables_invalid"
    assert "98765" not in str(error.args)
    assert error.details[0]["line"] == 1


def test_a_switched_off_template_is_not_rendered(tasks: Tasks) -> None:
    """Until it is switched on again; it can still be worked on."""
    template = templates.published(tasks, "x")
    tasks.call("template.update", {"template_id": template, "is_active": False})
    error = refused(tasks, template)
    assert (error.code, error.paths) == ("template_inactive", {"template_id"})
    tasks.call("version.publish", {"template_id": template, "body": "y"})
    tasks.call("template.update", {"template_id": template, "is_active": True})
    assert render(tasks, template)["body"] == "y"


def test_a_template_without_a_version_cannot_be_rendered(tasks: Tasks) -> None:
    """The answer says what is missing."""
    error = refused(tasks, templates.created(tasks))
    assert (error.code, error.paths) == ("version_not_found", {"version"})


def test_an_older_version_is_rendered_by_name(tasks: Tasks) -> None:
    """With its own variables and translations."""
    template = templates.published(
        tasks, "One {{ a }}", translations={"de": {"body": "Eins {{ a }}"}}
    )
    changed = {"template_id": template, "body": "Two", "allow_dropped_translations": True}
    tasks.call("version.publish", changed)
    old = render(tasks, template, version="1", variables={"a": 1}, language="de")
    assert (old["version"], old["body"]) == ("1", "Eins 1")
    assert render(tasks, template, language="de")["body"] == "Two"


@pytest.fixture(scope="module")
def template(tasks: Tasks) -> str:
    """Give an English template with three translations."""
    return templates.published(
        tasks,
        "en",
        subject="source",
        translations={
            "de": {"body": "de"},
            "zh-Hant": {"body": "zh-Hant", "subject": "zh"},
            "pt-BR": {"body": "pt-BR"},
        },
    )


class TestLanguage:
    """Which text a recipient gets."""

    @pytest.mark.parametrize(
        ("language", "fallback", "used", "chain"),
        [
            ("de", "closest", "de", ["de"]),
            ("de-AT", "closest", "de", ["de-AT", "de"]),
            ("DE_at", "closest", "de", ["de-AT", "de"]),
            ("zh-TW", "closest", "zh-Hant", ["zh-TW", "zh-Hant"]),
            ("pt-PT", "closest", "pt-BR", ["pt-PT", "pt-BR"]),
            ("ja", "closest", "en", ["ja", "en"]),
            ("en-GB", "closest", "en", ["en-GB", "en"]),
            ("de-AT", "default", "en", ["de-AT", "en"]),
            ("de", "default", "de", ["de"]),
            ("de", "strict", "de", ["de"]),
            ("en", "strict", "en", ["en"]),
            (None, "strict", "en", ["en"]),
        ],
    )
    def test_the_result_reports_the_language_and_the_fallback_chain(  # noqa: PLR0913, PLR0917 - two fixtures, four parts of a case
        self,
        tasks: Tasks,
        template: str,
        language: str | None,
        fallback: str,
        used: str,
        chain: list[str],
    ) -> None:
        """The language used, and the chain of those looked for."""
        answer = render(tasks, template, language=language, fallback=fallback)
        assert (answer["body"], answer["language"], answer["fallback_chain"]) == (used, used, chain)
        assert answer["subject"] == ("zh" if used == "zh-Hant" else "source")

    def test_the_default_fallback_is_closest(self, tasks: Tasks, template: str) -> None:
        """What a producer wants that says nothing."""
        assert render(tasks, template, language="de-CH")["language"] == "de"

    def test_a_strict_language_error_lists_the_available_languages(
        self, tasks: Tasks, template: str
    ) -> None:
        """A near one does not do."""
        error = refused(tasks, template, language="de-AT", fallback="strict")
        assert (error.code, error.paths) == ("language_not_found", {"language"})
        assert error.details[0]["message"] == "available: en, de, pt-BR, zh-Hant"

    def test_metadata_language_overrides_the_default_language(self, tasks: Tasks) -> None:
        """``metadata.language`` before the setting."""
        template = templates.published(
            tasks, "bonjour", metadata={"language": "fr"}, translations={"en": {"body": "hello"}}
        )
        assert render(tasks, template)["language"] == "fr"
        assert render(tasks, template, language="fr-CA")["body"] == "bonjour"
        assert render(tasks, template, language="en-AU")["body"] == "hello"
        assert render(tasks, template, language="ja")["fallback_chain"] == ["ja", "fr"]


def test_every_write_is_seen_by_the_next_render(tasks: Tasks) -> None:
    """There is no stale window: publish, upsert, activate, delete, switch off."""
    template = templates.created(tasks)
    for turn in range(5):
        number = str(2 * turn + 1)
        tasks.call("version.publish", {"template_id": template, "body": f"a{turn}"})
        assert render(tasks, template)["version"] == number
        tasks.call("version.publish", {"template_id": template, "body": f"b{turn}"})
        assert render(tasks, template)["body"] == f"b{turn}"
        message = {"template_id": template, "language_code": "de", "body": f"d{turn}"}
        tasks.call("translation.upsert", message)
        assert render(tasks, template, language="de")["body"] == f"d{turn}"
        tasks.call("translation.delete", {"template_id": template, "language_code": "de"})
        assert render(tasks, template, language="de")["body"] == f"b{turn}"
        tasks.call("version.activate", {"template_id": template, "version": number})
        assert render(tasks, template)["body"] == f"a{turn}"


def test_a_render_survives_the_concurrent_deletion_of_a_translation(
    tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A render that has chosen German, which is deleted that moment, looks again."""
    template = templates.published(
        tasks, "own", translations={"de": {"body": "de"}, "de-CH": {"body": "de-CH"}}
    )
    find = sources.translation
    asked: list[str] = []

    def delete_first(connection: Any, version: Any, language: str) -> Any:  # noqa: ANN401 - of the function replaced
        asked.append(language)
        if len(asked) == 1:
            message = {"template_id": template, "language_code": language}
            tasks.call("translation.delete", message)
        return find(connection, version, language)

    monkeypatch.setattr(sources, "translation", delete_first)
    answer = render(tasks, template, language="de-AT")
    assert asked == ["de", "de-CH"]
    assert (answer["body"], answer["fallback_chain"]) == ("de-CH", ["de-AT", "de-CH"])


def test_a_large_message_is_rendered_whole(tasks: Tasks) -> None:
    """Variables at their limit, more than a pipe holds at once."""
    template = templates.published(tasks, "{% for x in xs %}{{ x }}{% endfor %}", type="sms")
    xs = ["ä" * 100] * 1200
    assert render(tasks, template, variables={"xs": xs})["body"] == "".join(xs)


def test_values_that_exceed_a_limit_cost_one_error(tasks: Tasks) -> None:
    """The template is harmless with its examples, and the producer sends too much."""
    template = templates.published(
        tasks,
        "{% for a in range(n) %}{{ x }}{% endfor %}",
        variables=[{"name": "n", "type": "integer"}, {"name": "x", "type": "string"}],
    )
    error = refused(tasks, template, variables={"n": 10_000, "x": "a" * 10_000})
    assert error.code == "render_limit_exceeded", error
    assert render(tasks, template, variables={"n": 2, "x": "a"})["body"] == "aa"
