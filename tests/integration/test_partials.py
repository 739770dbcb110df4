"""Partials: included and extended, in every language, and never gone from under their users."""

import json
import re
from itertools import pairwise
from typing import Any

import pytest

from tests.factories import templates
from tests.support.producer import RefusedError
from tests.support.rows import Rows
from tests.support.tasks import Tasks
from worker.local import LocalStack


class Library:
    """Templates of one test, by short names; ``@name`` in a source stands for the id of one."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._ids: dict[str, str] = {}
        self._created: set[str] = set()

    def id(self, short: str) -> str:
        """Return the template_id of a short name."""
        return self._ids.setdefault(short, templates.template_id(short))

    def create(self, short: str, kind: str = "partial") -> None:
        """Create a template without a version."""
        message = {"template_id": self.id(short), "name": short, "type": kind}
        self._tasks.call("template.create", message)
        self._created.add(short)

    def publish(self, short: str, body: str, kind: str = "partial", **keywords: Any) -> Any:  # noqa: ANN401 - any JSON value
        """Publish a version of a template, which is created if need be."""
        if short not in self._created:
            self.create(short, kind)
        return self.call("version.publish", short, body=body, **keywords)

    def user(self, body: str, kind: str = "email", **keywords: Any) -> Any:  # noqa: ANN401 - any JSON value
        """Publish a version of the template that uses partials."""
        return self.publish("user", body, kind, **keywords)

    def render(self, variables: dict[str, Any] | None = None, **keywords: Any) -> Any:  # noqa: ANN401 - any JSON value
        """Render that template."""
        return self.call("render.one", "user", variables=variables or {}, **keywords)

    def call(self, task: str, short: str, **keywords: Any) -> Any:  # noqa: ANN401 - any JSON value
        """Send a message about a template."""
        message = self.filled(json.dumps(keywords))
        return self._tasks.call(task, {"template_id": self.id(short)} | json.loads(message))

    def filled(self, text: str) -> str:
        """Return ``text`` with template_ids for the short names."""
        return re.sub(r"@(\w+)", lambda match: self.id(match[1]), text)

    def refused(self, task: str, short: str, **keywords: Any) -> RefusedError:  # noqa: ANN401 - a message's keywords
        """Return the refusal of a message about a template."""
        with pytest.raises(RefusedError) as caught:
            self.call(task, short, **keywords)
        return caught.value

    def unpublishable(
        self,
        short: str,
        body: str,
        kind: str = "partial",
        **keywords: Any,  # noqa: ANN401 - a message's keywords
    ) -> RefusedError:
        """Return the refusal of a version."""
        if short not in self._created:
            self.create(short, kind)
        return self.refused("version.publish", short, body=body, **keywords)


@pytest.fixture
def library(tasks: Tasks) -> Library:
    """Give a library for the templates of a test."""
    return Library(tasks)


@pytest.fixture
def rows(servers: LocalStack) -> Rows:
    """Look at the database of the tasks."""
    return Rows(servers.postgres.url)


def uses(rows: Rows, template_id: str) -> list[tuple[str, str]]:
    """Return what is stored of the partials of a template: each version, and what it uses."""
    return [
        (version, partial)
        for version, partial in rows.run(
            "SELECT v.version, o.template_id FROM template_partials AS p"
            " JOIN template_versions AS v ON v.id = p.template_version_id"
            " JOIN templates AS t ON t.id = v.template_id"
            " JOIN templates AS o ON o.id = p.partial_id"
            " WHERE t.template_id = %(id)s ORDER BY v.version, o.template_id",
            id=template_id,
        )
    ]


class TestRender:
    """What partials are made of, in the text that uses them."""

    @pytest.mark.parametrize(
        ("partials", "body", "expected"),
        [
            ({"p": "<p>{{ x }}</p>"}, "a{% include '@p' %}b", "a<p>1</p>b"),
            ({"p": "{{ x }}"}, "{% include '@p' %}{% include '@p' %}{{ x }}", "111"),
            (
                {"r": "{{ x }}", "q": "({% include '@r' %})", "p": "[{% include '@q' %}]"},
                "{% include '@p' %}",
                "[(1)]",
            ),
            (
                {"l": "<{% block a %}A{% endblock %}|{% block b %}B{% endblock %}>{{ x }}"},
                "{% extends '@l' %}{% block b %}{{ super() }}+{{ x }}{% endblock %}",
                "<A|B+1>1",
            ),
            (
                {
                    "base": "<{% block a %}base{% endblock %}>",
                    "l": "{% extends '@base' %}{% block a %}[{{ super() }}]{% endblock %}",
                },
                "{% extends '@l' %}{% block a %}{{ super() }}{{ super() }}{% endblock %}",
                "<[base][base]>",
            ),
            (
                {"p": "{{ x }}", "l": "{% include '@p' %}{% block a %}{% endblock %}"},
                "{% extends '@l' %}{% block a %}{% include '@p' %}{% endblock %}",
                "11",
            ),
            (
                {"p": "{{ item.name }} "},
                "{% for item in items %}{% include '@p' %}{% endfor %}",
                "a b ",
            ),
            (
                {"q": "{{ y.name }}", "p": "{% for y in items %}{% include '@q' %}{% endfor %}"},
                "{% include '@p' %}",
                "ab",
            ),
            ({"p": "{{ y }}"}, "{% with y = x + 1 %}{% include '@p' %}{% endwith %}", "2"),
            ({"p": "{{ y }}"}, "{% set y = x + 1 %}{% include '@p' %}", "2"),
            ({"p": "{{ x }}"}, '{% if x %}{%- include "@p" -%}{% endif %}', "1"),
            ({"p": "{{ gone }}"}, "{% raw %}{% include '@p' %}{% endraw %}", "{% include '@p' %}"),
        ],
    )
    def test_partials_are_part_of_the_text(
        self, library: Library, partials: dict[str, str], body: str, expected: str
    ) -> None:
        """Nothing has to be declared that the text around a partial gives a value."""
        for name, source in partials.items():
            library.publish(name, source)
        declared = {variable["name"] for variable in library.user(body)["variables"]}
        assert declared <= {"x", "items", "items[].name"}
        values = {"x": 1, "items": [{"name": "a"}, {"name": "b"}]}
        answer = library.render({name: values[name] for name in declared & values.keys()})
        assert answer["body"] == library.filled(expected)

    def test_a_layout_sees_what_its_user_sets(self, library: Library) -> None:
        """Anywhere in the text, as the engine does."""
        library.publish("l", "[{{ title }}]{% block a %}{% endblock %}")
        library.user("{% extends '@l' %}{% set title = 'Hi' %}{% block a %}x{% endblock %}")
        assert library.render()["body"] == "[Hi]x"

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            ("email", "<hr><i>&lt;b&gt;</i> &amp; c"),
            ("in_app", "<hr><i>&lt;b&gt;</i> &amp; c"),
            ("sms", "<b> & c"),
            ("push", "<b> & c"),
        ],
    )
    def test_escaping_follows_what_is_rendered(
        self, library: Library, kind: str, expected: str
    ) -> None:
        """A partial is HTML in HTML; a text has what a reader would see, a subject in one line."""
        library.publish("p", "<hr><i>{{ x }}</i> &amp; c")
        library.user("{% include '@p' %}", subject="{% include '@p' %}", kind=kind)
        answer = library.render({"x": "<b>"})
        assert answer["subject"] == "<b> & c"
        assert answer["body"].removeprefix("---\n\n") == expected

    def test_a_text_keeps_its_lines_around_a_partial(self, library: Library) -> None:
        """Only the partial's own HTML is read; plain text in a partial stays as it is."""
        library.publish("p", "<p>Reply <b>STOP</b></p><p>&copy; {{ x }}</p>")
        library.publish("q", "1 < 2 &  3\n  <3")
        library.user("Hi  you\n\n{% include '@p' %}\n  end", kind="sms")
        assert library.render({"x": "A"})["body"] == "Hi  you\n\nReply STOP\n\n© A\n\nend"
        library.user("a\n{% include '@q' %}\n", kind="sms")
        assert library.render()["body"] == "a\n1 < 2 &  3\n  <3\n"

    def test_a_layout_in_a_text_gives_its_text(self, library: Library) -> None:
        """Its blocks too."""
        library.publish("l", "<h1>{% block title %}T{% endblock %}</h1><p>{{ x }}</p>")
        library.user("{% extends '@l' %}{% block title %}A & <b>{% endblock %}", kind="sms")
        assert library.render({"x": "1"})["body"] == "A & <b>\n\n1"

    def test_a_subject_stays_one_line(self, library: Library) -> None:
        """Whatever the partial holds."""
        library.publish("p", "one\r\nBcc: {{ x }}\n")
        library.user("x", subject="{% include '@p' %}")
        assert library.render({"x": "a\nb"})["subject"] == "one Bcc: a b"

    def test_a_changed_partial_takes_effect_in_the_next_render(self, library: Library) -> None:
        """Publishing, activating and translating a partial changes the next render."""
        library.publish("p", "one")
        library.user("{% include '@p' %}")
        assert library.render()["body"] == "one"
        library.publish("p", "two")
        assert library.render()["body"] == "two"
        library.publish("p", "three", activate=False)
        assert library.render()["body"] == "two"
        library.call("version.activate", "p", version="1")
        assert library.render()["body"] == "one"
        library.call("translation.upsert", "p", language_code="de", body="eins")
        library.call("translation.upsert", "user", language_code="de", body="{% include '@p' %}")
        assert library.render(language="de")["body"] == "eins"
        library.call("translation.delete", "p", language_code="de")
        assert library.render(language="de")["body"] == "one"

    def test_an_old_version_is_rendered_with_current_partials(self, library: Library) -> None:
        """A layout is changed for all that use it."""
        library.publish("p", "one")
        library.user("{% include '@p' %}")
        library.user("x")
        library.publish("p", "two")
        assert library.render(version="1")["body"] == "two"


class TestLanguages:
    """A partial speaks the language of the text, or the nearest that it has."""

    def test_a_partial_is_rendered_in_the_exact_closest_or_own_language(
        self, library: Library
    ) -> None:
        """For each partial by itself, whatever includes it."""
        library.publish(
            "q", "q-en", translations={"de": {"body": "q-de"}, "pt-BR": {"body": "q-pt-BR"}}
        )
        library.publish("p", "p-fr {% include '@q' %}", metadata={"language": "fr"})
        text = {"body": "{% include '@p' %}"}
        library.user(text["body"], translations={"de": text, "pt": text, "it": text})
        for language, body, found in (
            ("en", "p-fr q-en", ["fr", "en"]),
            ("de", "p-fr q-de", ["fr", "de"]),
            ("pt", "p-fr q-pt-BR", ["fr", "pt-BR"]),
            ("it", "p-fr q-en", ["fr", "en"]),
        ):
            answer = library.render(language=language)
            assert (answer["language"], answer["body"]) == (language, body)
            assert [used["language"] for used in answer["partials"]] == found

    def test_a_partial_follows_the_language_of_the_text_not_of_the_request(
        self, library: Library
    ) -> None:
        """A text in two languages helps nobody."""
        library.publish("p", "p-en", translations={"de": {"body": "p-de"}})
        library.user("{% include '@p' %}")
        answer = library.render(language="de")
        assert (answer["language"], answer["body"]) == ("en", "p-en")

    def test_filters_use_the_language_of_their_source(self, library: Library) -> None:
        """Words and numbers of a sentence go together."""
        source = "{{ n|number }}"
        library.publish("p", source)
        library.publish("q", source, translations={"de": {"body": source}})
        body = f"{source} {{% include '@p' %}} {{% include '@q' %}}"
        library.user(body, translations={"de": {"body": body}})
        assert library.render({"n": 1234.5}, language="de")["body"] == "1.234,5 1,234.5 1.234,5"
        assert library.render({"n": 1234.5})["body"] == "1,234.5 1,234.5 1,234.5"

    @pytest.mark.parametrize(
        ("keywords", "passes"),
        [
            ({}, True),
            ({"metadata": {"language": "fr"}}, True),
            ({"translations": {"de": {"body": "q"}}}, True),
            ({"translations": {"fr": {"body": "q"}}, "metadata": {"language": "de"}}, True),
            ({"translations": {"fr": {"body": "q"}}}, False),
            ({"translations": {"de-AT": {"body": "q"}}}, False),
        ],
    )
    @pytest.mark.parametrize("is_nested", [True, False])
    def test_strict_language_applies_to_translated_partials(
        self,
        library: Library,
        keywords: dict[str, Any],
        passes: bool,  # noqa: FBT001 - a column of the table
        is_nested: bool,  # noqa: FBT001 - the same
    ) -> None:
        """One without translations speaks to everybody, as layouts do."""
        library.publish("q", "q", **keywords)
        library.publish("p", "{% include '@q' %}")
        text = {"body": "{% include '@p' %}" if is_nested else "{% include '@q' %}"}
        library.user(text["body"], translations={"de": text})
        if passes:
            assert library.render(language="de", fallback="strict")["body"] == "q"
            return
        error = library.refused("render.one", "user", language="de", fallback="strict")
        path = f"partials.{library.id('q')}"
        assert (error.code, error.paths) == ("language_not_found", {path})
        assert (
            error.details[0]["message"] == f"available: en, {next(iter(keywords['translations']))}"
        )
        assert library.render(language="de")["language"] == "de"

    def test_strict_language_ignores_partials_of_other_languages(self, library: Library) -> None:
        """What another language of the template includes is not in it."""
        library.publish("p", "p", translations={"fr": {"body": "p-fr"}})
        library.user("x", translations={"de": {"body": "y"}, "fr": {"body": "{% include '@p' %}"}})
        answer = library.render(language="de", fallback="strict")
        assert (answer["body"], answer["partials"]) == ("y", [])
        assert library.render(language="fr", fallback="strict")["body"] == "p-fr"

    def test_the_result_lists_the_partials_of_the_text(self, library: Library) -> None:
        """Each partial once, with version and language; none of other languages."""
        library.publish("c", "c", version="spring")
        library.publish("b", "b{% include '@c' %}", translations={"de": {"body": "b-de"}})
        library.publish("a", "a{% include '@c' %}")
        body = "{% include '@a' %}{% include '@b' %}{% include '@a' %}"
        library.user(
            body,
            subject="{% include '@c' %}",
            translations={
                "de": {"body": "{% include '@b' %}", "subject": "x"},
                "fr": {"body": "x", "subject": "y"},
            },
        )

        def reported(**keywords: Any) -> list[tuple[str, str, str]]:  # noqa: ANN401 - a message's keywords
            return [
                (used["template_id"].split("-")[0], used["version"], used["language"])
                for used in library.render(**keywords)["partials"]
            ]

        assert reported() == [("a", "1", "en"), ("b", "1", "en"), ("c", "spring", "en")]
        assert reported(language="de") == [("b", "1", "de")]
        assert reported(language="fr") == []

    def test_a_batch_lists_the_partials_of_each_item(self, library: Library) -> None:
        """For each item, by its language."""
        library.publish("p", "p", translations={"de": {"body": "p-de"}})
        library.user("{% include '@p' %}", translations={"de": {"body": "{% include '@p' %}"}})
        items = [{"key": 1}, {"key": 2, "language": "de"}]
        answer = library.call("render.batch", "user", items=items)
        assert [item["body"] for item in answer["items"]] == ["p", "p-de"]
        assert [item["partials"][0]["language"] for item in answer["items"]] == ["en", "de"]


class TestVariables:
    """What a partial needs, its users must be given."""

    TYPED = ({"name": "x", "type": "integer", "required": True, "example": 7},)

    def test_a_version_must_declare_the_variables_of_its_partials(self, library: Library) -> None:
        """What the partials of a partial need too; optional ones need not be declared."""
        library.publish("q", "{{ x }}", variables=list(self.TYPED))
        more = [{"name": "y"}, {"name": "z", "default": 1}, {"name": "o", "required": False}]
        library.publish(
            "p",
            "{{ y }}{{ z }}{{ o|default('') }}{% include '@q' %}",
            variables=[*self.TYPED, *more],
        )
        error = library.unpublishable("user", "{% include '@p' %}", kind="email", variables=["a"])
        assert error.code == "placeholder_mismatch"
        assert [problem["message"].split("'")[1] for problem in error.details] == ["x", "y"]
        assert {problem["type"] for problem in error.details} == {"undeclared"}
        library.user("{% include '@p' %}", variables=["x", "y"])
        assert library.render({"x": 1, "y": 2})["body"] == "211"
        library.user("{% include '@p' %}", variables=["x", "y", "z", "o"], allow_breaking=True)

    def test_a_translation_must_use_the_variables_of_partials_too(self, library: Library) -> None:
        """Through the partial, or by itself."""
        library.publish("p", "{{ x }}")
        library.user("{% include '@p' %}", translations={"de": {"body": "{{ x }}"}})
        error = library.unpublishable(
            "user", "{% include '@p' %}", translations={"de": {"body": "y"}}
        )
        assert (error.code, error.details[0]["type"]) == ("placeholder_mismatch", "lost")

    def test_a_partials_variable_is_inherited_with_its_type(self, library: Library) -> None:
        """By a version that declares nothing, over more than one step."""
        library.publish("q", "{{ x }}", variables=list(self.TYPED))
        library.publish("p", "{% include '@q' %}{{ y|default('') }}")
        answer = library.user("{% include '@p' %}{{ a }}{{ b|default('') }}")
        assert answer["variables"] == [
            {"name": "a", "type": "any", "required": True},
            {"name": "b", "type": "any", "required": False},
            self.TYPED[0],
        ]
        error = library.refused("render.one", "user", variables={"a": 1, "x": "one"})
        assert (error.code, error.paths) == ("variables_invalid", {"variables.x"})

    def test_a_loop_variable_satisfies_a_partials_variable(self, library: Library) -> None:
        """Then it is no variable of the user's, and a producer's value of that name no matter."""
        library.publish("p", "{{ x }};", variables=list(self.TYPED))
        body = "{% for x in items %}{% include '@p' %}{% endfor %}"
        library.user(body, variables=["items"])
        answer = library.render({"items": [1, 2], "x": "text"})
        assert (answer["body"], answer["unused"]) == ("1;2;", [])
        answer = library.user(body)
        assert [variable["name"] for variable in answer["variables"]] == ["items"]

    @pytest.mark.parametrize(
        ("variable", "body", "expected"),
        [
            ({"default": "new"}, "{{ x }}", "new"),
            ({"required": False}, "{{ x|default('none') }}", "none"),
            ({"required": False, "default": 0}, "{{ x }}", "0"),
        ],
    )
    def test_a_later_optional_variable_of_a_partial_gets_its_default(
        self, library: Library, variable: dict[str, Any], body: str, expected: str
    ) -> None:
        """For versions that were published before; a value that is given counts."""
        library.publish("p", "old")
        library.user("{% include '@p' %}", variables=[])
        library.publish("p", body, variables=[{"name": "x"} | variable])
        assert library.render()["body"] == expected
        assert library.render({"x": "given"})["body"] == "given"

    def test_a_later_required_variable_of_a_partial_fails_renders(self, library: Library) -> None:
        """It is named: nothing is ever rendered with a blank."""
        library.publish("p", "old")
        library.user("<b>\n{% include '@p' %}</b>")
        error = library.unpublishable("p", "{{ x.y }}")
        assert error.code == "breaking_change"
        assert library.id("user") in error.message
        answer = library.publish("p", "{{ x.y }}", allow_breaking=True)
        assert [change["type"] for change in answer["breaking"]] == ["now_required"]
        given: list[dict[str, Any]] = [{}, {"x": {}}, {"x": None}, {"x": {"y": None}}]
        for variables in given:
            error = library.refused("render.one", "user", variables=variables)
            assert error.code == "variables_invalid"
            assert "x.y" in str(error.details)
        assert library.render({"x": {"y": 1}})["body"] == "<b>\n1</b>"

    def test_new_users_must_declare_what_a_nested_partial_later_requires(
        self, library: Library
    ) -> None:
        """Unless the partial between gives it a value."""
        library.publish("q", "q")
        library.publish("p", "{% include '@q' %}")
        library.publish("loop", "{% for x in items %}{% include '@q' %}{% endfor %}")
        library.publish("q", "{{ x }}", variables=list(self.TYPED), allow_breaking=True)
        error = library.unpublishable("user", "{% include '@p' %}", "email", variables=[])
        assert error.code == "placeholder_mismatch"
        assert library.user("{% include '@p' %}")["variables"] == [*self.TYPED]
        answer = library.publish("other", "{% include '@loop' %}", "sms")
        assert [variable["name"] for variable in answer["variables"]] == ["items"]

    def test_a_guarded_placeholder_next_to_a_partial_is_optional(self, library: Library) -> None:
        """A default that the partial declares does not make the user's own variables required."""
        library.publish("p", "{{ x }}", variables=[{"name": "x", "default": "X"}])
        answer = library.user("{{ a|default('A') }}{{ b }}{% include '@p' %}")
        required = {variable["name"]: variable["required"] for variable in answer["variables"]}
        assert required == {"a": False, "b": True}
        assert library.render({"b": "B"})["body"] == "ABX"

    def test_trial_renders_use_the_types_of_the_partials_variables(self, library: Library) -> None:
        """Whatever a partial may be given, misuse of the user's own variables shows."""
        variables = [{"name": "x", "type": "string", "required": False}]
        library.publish("p", "{{ x|default('') }}", variables=variables)
        body = "{% include '@p' %}{{ n + 1 }}"
        declared = [{"name": "n", "type": "string"}]
        error = library.unpublishable("user", body, kind="email", variables=declared)
        assert (error.code, error.paths) == ("template_syntax", {"body"})
        library.user(body, variables=[{"name": "n", "type": "integer"}])

    def test_a_trial_render_that_fails_in_a_partial_names_it(self, library: Library) -> None:
        """Its author is not that of the text."""
        library.publish("p", "{{ x + 1 }}")
        declared = [{"name": "x", "type": "string"}]
        error = library.unpublishable(
            "user", "{% include '@p' %}", kind="email", variables=declared
        )
        assert error.code == "template_syntax"
        assert f"partial '{library.id('p')}'" in error.details[0]["message"]


class TestRefused:
    """What can never be rendered is never published."""

    @pytest.mark.parametrize(
        "kind",
        ["missing", "inactive", "deleted", "never published", "not current", "no partial"],
    )
    @pytest.mark.parametrize("tag", ["include", "extends"])
    def test_only_active_partials_can_be_included(
        self, library: Library, kind: str, tag: str
    ) -> None:
        """In a version, a translation and an upsert, with its place."""
        library.user("x")
        match kind:
            case "inactive":
                library.publish("p", "p")
                library.call("template.update", "p", is_active=False)
            case "deleted":
                library.publish("p", "p")
                library.call("template.delete", "p")
            case "never published":
                library.create("p")
            case "not current":
                library.publish("p", "p", activate=False)
            case "no partial":
                library.publish("p", "p", kind="in_app")
        source = f"é\n é{{% {tag} '@p' %}}"
        text = {"body": "x", "subject": source}
        for path, error in (
            ("body", library.unpublishable("user", source)),
            (
                "translations.de.subject",
                library.unpublishable("user", "x", translations={"de": text}),
            ),
            (
                "body",
                library.refused("translation.upsert", "user", language_code="de", body=source),
            ),
        ):
            (problem,) = error.details
            assert (error.code, problem["path"]) == ("template_syntax", path)
            assert problem["type"] == "partial_not_found"
            assert f"'{library.id('p')}'" in problem["message"]
            assert (problem["line"], problem["column"]) == (2, 3)
            assert problem["snippet"].split("\n")[1] == "  ^"

    @pytest.mark.parametrize(
        "tag",
        [
            "include name",
            "include '@p' ~ ''",
            "include ['@p', '@q']",
            "include '@p' ignore missing",
            "include '@gone' ignore missing",
            "include '@p' if x",
            "extends name",
            "import '@p' as p",
            "from '@p' import m",
        ],
    )
    def test_dynamic_partial_names_are_refused(self, library: Library, tag: str) -> None:
        """Who uses which partial is known at any time, so that none can go from under a user."""
        library.publish("p", "{% macro m() %}{% endmacro %}")
        error = library.unpublishable(
            "user", f"a {{% {tag} %}}", kind="email", variables=["x", "name"]
        )
        (problem,) = error.details
        assert error.code == "template_syntax"
        assert (problem["path"], problem["type"]) == ("body", "partial")
        assert (problem["line"], problem["column"]) == (1, 3)

    @pytest.mark.parametrize("size", [1, 2, 3, 4])
    @pytest.mark.parametrize("tag", ["include", "extends"])
    def test_a_cycle_of_partials_is_reported_completely(
        self, library: Library, size: int, tag: str
    ) -> None:
        """From the partial back to itself, over all that stand between."""
        names = [f"p{number}" for number in range(size)]
        for name in names:
            library.publish(name, "x")
        for user, used in reversed([*pairwise(names)]):
            library.publish(user, f"{{% {tag} '@{used}' %}}")
        error = library.unpublishable(names[-1], f"\n{{% {tag} '@{names[0]}' %}}")
        (problem,) = error.details
        assert (error.code, problem["type"]) == ("template_syntax", "partial_cycle")
        assert (problem["line"], problem["column"]) == (2, 1)
        chain = [library.id(name) for name in (names[-1], *names)]
        assert problem["message"].endswith(" → ".join(chain))

    def test_a_cycle_through_a_translation_is_refused(self, library: Library) -> None:
        """Every language of a partial counts."""
        library.publish("p", "p")
        library.publish("q", "q", translations={"de": {"body": "{% include '@p' %}"}})
        error = library.unpublishable("p", "{% include '@q' %}")
        assert error.details[0]["type"] == "partial_cycle"
        error = library.refused(
            "translation.upsert", "p", language_code="fr", body="{% include '@q' %}"
        )
        assert error.details[0]["type"] == "partial_cycle"

    def test_activating_a_version_that_closes_a_cycle_is_refused(self, library: Library) -> None:
        """A version that made none when it was published may make one later."""
        library.publish("p", "p")
        library.publish("q", "q")
        library.publish("p", "{% include '@q' %}", activate=False)
        library.publish("q", "{% include '@p' %}")
        error = library.refused("version.activate", "p", version="2")
        assert (error.code, error.details[0]["type"]) == ("template_syntax", "partial_cycle")
        library.user("{% include '@q' %}")
        assert library.render()["body"] == "p"

    def test_partials_nest_ten_levels_deep_and_no_deeper(self, library: Library) -> None:
        """And an eleventh may be put neither above them nor below."""
        library.publish("p10", "end")
        for number in range(9, 0, -1):
            library.publish(f"p{number}", f"{{% include '@p{number + 1}' %}}")
        library.user("{% include '@p1' %}")
        assert library.render()["body"] == "end"
        assert len(library.render()["partials"]) == 10

        library.publish("p0", "{% include '@p1' %}")
        error = library.unpublishable("user", "{% include '@p0' %}")
        assert (error.code, error.details[0]["type"]) == ("too_large", "too_large")
        assert "11 deep, the limit is 10" in error.message

        library.publish("p11", "deeper")
        error = library.unpublishable("p10", "{% include '@p11' %}")
        assert (error.code, error.message) == (
            "too_large",
            "partials are nested 11 deep, the limit is 10",
        )
        upsert = {"language_code": "de", "body": "{% include '@p11' %}"}
        assert library.refused("translation.upsert", "p10", **upsert).code == "too_large"
        library.call("template.delete", "p0")
        assert library.refused("version.publish", "p10", body=upsert["body"]).code == "too_large"
        library.call("template.delete", "user")
        library.publish("p10", "{% include '@p11' %}")
        assert library.refused("template.restore", "user").code == "too_large"

    def test_activating_a_too_deeply_nested_version_is_refused(self, library: Library) -> None:
        """What was not current has not been counted."""
        library.publish("p10", "end")
        for number in range(9, 0, -1):
            library.publish(f"p{number}", f"{{% include '@p{number + 1}' %}}")
        library.user("x")
        library.user("{% include '@p1' %}", activate=False)
        library.publish("p11", "deeper")
        library.publish("p10", "{% include '@p11' %}")
        assert library.refused("version.activate", "user", version="2").code == "too_large"
        assert library.render()["body"] == "x"

    def test_many_paths_through_the_same_partials_do_not_add_to_the_depth(
        self, library: Library
    ) -> None:
        """Nor do they keep a publish busy: there are a million here."""
        levels = [[f"l{level}_{number}" for number in range(5)] for level in range(9)]
        for name in levels[-1]:
            library.publish(name, "{{ x }}")
        for above, below in reversed([*pairwise(levels)]):
            tags = "".join(f"{{% include '@{name}' %}}" for name in below)
            for name in above:
                library.publish(name, f"{{% if x == 0 %}}{tags}{{% endif %}}")
        library.user("".join(f"{{% include '@{name}' %}}" for name in levels[0]))
        assert library.render({"x": 1})["body"] == ""

    def test_a_block_that_the_layout_does_not_have_is_refused(self, library: Library) -> None:
        """Its words would be lost: in no answer, and in no text."""
        library.publish("base", "{% block a %}{% block b %}{% endblock %}{% endblock %}")
        library.publish(
            "l", "{% extends '@base' %}{% block b %}{% block c %}{% endblock %}{% endblock %}"
        )
        error = library.unpublishable(
            "user",
            "{% extends '@l' %}\n {% block d %}{% block a %}{% endblock %}{% endblock %}",
            kind="email",
        )
        (problem,) = error.details
        assert (error.code, problem["type"]) == ("template_syntax", "unknown_block")
        assert (problem["line"], problem["column"]) == (2, 2)
        assert "'d'" in problem["message"]
        assert problem["message"].endswith("a, b, c")
        for block in ("a", "b", "c"):
            library.user(f"{{% extends '@l' %}}{{% block {block} %}}x{{% endblock %}}")
            assert library.render()["body"] == "x"
        library.user("{% block d %}x{% endblock %}")
        assert library.render()["body"] == "x"

    def test_removing_a_block_is_a_breaking_change(self, library: Library) -> None:
        """They are named; nested blocks count, and a new one breaks nothing."""
        library.publish("l", "{% block a %}{% block b %}{% endblock %}{% endblock %}")
        library.user("{% extends '@l' %}{% block b %}x{% endblock %}")
        library.publish(
            "l", "{% block b %}{% endblock %}{% block a %}{% endblock %}{% block c %}{% endblock %}"
        )
        after = "{% block a %}{% endblock %}"
        error = library.unpublishable("l", after)
        assert error.code == "breaking_change"
        assert library.id("user") in error.message
        assert [(problem["type"], problem["message"]) for problem in error.details] == [
            ("block_gone", "block 'b' is gone"),
            ("block_gone", "block 'c' is gone"),
        ]
        assert library.publish("l", after, allow_breaking=True)["breaking"] == error.details


class TestInUse:
    """A partial that a current version uses cannot go."""

    @pytest.mark.parametrize(
        ("task", "keywords"),
        [("template.delete", {}), ("template.update", {"is_active": False, "description": "Off"})],
    )
    def test_a_partial_cannot_be_deleted_while_in_use(
        self, library: Library, task: str, keywords: dict[str, Any]
    ) -> None:
        """The refusal names who includes it: also those that do so in two ways."""
        library.publish("p", "p")
        library.publish("q", "{% include '@p' %}")
        library.user("{% include '@q' %}{% include '@p' %}")
        library.publish("far", "{% include '@q' %}", kind="sms")
        library.publish("old", "{% include '@p' %}", kind="sms")
        library.publish("old", "x")
        library.publish("next", "x", kind="sms")
        library.publish("next", "{% include '@p' %}", activate=False)

        error = library.refused(task, "p", **keywords)
        assert (error.code, error.paths) == ("template_in_use", {"template_id"})
        named = [problem["message"].split("'")[1] for problem in error.details]
        assert named == sorted([library.id("q"), library.id("user")])
        assert library.render()["body"] == "pp"
        assert library.call("template.get", "p")["template"]["is_active"] is True

        library.user("{% include '@q' %}")
        error = library.refused(task, "p", **keywords)
        assert len(error.details) == 1
        library.publish("q", "q")
        library.call(task, "p", **keywords)
        assert library.render()["body"] == "q"

    def test_deleted_and_rolled_back_users_do_not_count(self, library: Library) -> None:
        """One that is only switched off still does: it may be switched on at any time."""
        library.publish("p", "p")
        library.user("x")
        library.user("{% include '@p' %}")
        library.publish("other", "{% include '@p' %}", kind="sms")
        library.call("template.update", "other", is_active=False)
        assert len(library.refused("template.delete", "p").details) == 2
        library.call("version.activate", "user", version="1")
        assert len(library.refused("template.delete", "p").details) == 1
        library.call("template.delete", "other")
        library.call("template.delete", "p")

    def test_a_partial_may_be_changed_while_it_is_used(self, library: Library) -> None:
        """Only going away is not allowed."""
        library.publish("p", "p")
        library.user("{% include '@p' %}")
        library.call("template.update", "p", name="Footer", is_active=True)
        library.publish("p", "q")
        assert library.render()["body"] == "q"

    def test_a_use_in_a_translation_counts(self, library: Library) -> None:
        """From its upsert until it is written without it, or deleted."""
        library.publish("p", "p")
        library.user("x")
        upsert = {"language_code": "de", "body": "{% include '@p' %}"}
        for free in (
            ("translation.upsert", {"language_code": "de", "body": "y"}),
            ("translation.delete", {"language_code": "de"}),
        ):
            library.call("translation.upsert", "user", **upsert)
            assert library.render(language="de")["body"] == "p"
            assert library.refused("template.delete", "p").code == "template_in_use"
            task, keywords = free
            library.call(task, "user", **keywords)
            library.call("template.delete", "p")
            library.call("template.restore", "p")

    def test_a_use_in_a_carried_translation_counts(self, library: Library) -> None:
        """Though the message of the new version does not name it."""
        library.publish("p", "p")
        library.user("x", translations={"de": {"body": "{% include '@p' %}"}})
        assert library.user("x!")["translations"]["stale"] == ["de"]
        assert library.refused("template.delete", "p").code == "template_in_use"
        assert library.render(language="de")["body"] == "p"
        library.user("x", carry_translations=False)
        library.call("template.delete", "p")

    def test_a_use_in_a_subject_counts(self, library: Library) -> None:
        """As one in a body."""
        library.publish("p", "p")
        library.user("x", subject="{% include '@p' %}")
        assert library.refused("template.delete", "p").code == "template_in_use"


class TestGone:
    """Versions that are not current, and use what is there no more."""

    @pytest.mark.parametrize(
        ("task", "keywords", "code"),
        [
            ("template.delete", {}, "template_not_found"),
            ("template.update", {"is_active": False}, "template_inactive"),
        ],
    )
    @pytest.mark.parametrize("is_nested", [True, False])
    def test_versions_with_deleted_partials_are_neither_rendered_nor_activated(
        self,
        library: Library,
        task: str,
        keywords: dict[str, Any],
        code: str,
        is_nested: bool,  # noqa: FBT001 - a column of the table
    ) -> None:
        """The answer names the partial; once it is back they are as before."""
        library.publish("p", "p")
        library.publish("q", "{% include '@p' %}" if is_nested else "q")
        library.user("{% include '@q' %}")
        library.user("x")
        # A version of a partial that is gone is the current one still.
        gone = "q"
        library.call(task, gone, **keywords)
        for refused, more in (
            ("render.one", {"version": "1"}),
            ("render.batch", {"version": "1", "items": [{"key": 1}]}),
            ("version.activate", {"version": "1"}),
        ):
            error = library.refused(refused, "user", **more)
            assert error.code == code
            assert f"'{library.id(gone)}'" in error.message
        assert library.render()["body"] == "x"
        assert library.render()["version"] == "2"
        back = (
            ("template.restore", {}) if task == "template.delete" else (task, {"is_active": True})
        )
        library.call(back[0], gone, **back[1])
        body = "p" if is_nested else "q"
        assert library.render(version="1")["body"] == body
        library.call("version.activate", "user", version="1")
        assert library.render()["body"] == body
        assert library.refused(task, gone, **keywords).code == "template_in_use"

    def test_a_template_is_not_restored_without_its_partials(self, library: Library) -> None:
        """It could not be rendered."""
        library.publish("p", "p")
        library.user("{% include '@p' %}")
        library.call("template.delete", "user")
        library.call("template.delete", "p")
        error = library.refused("template.restore", "user")
        assert error.code == "template_not_found"
        assert f"'{library.id('p')}'" in error.message
        library.call("template.restore", "p")
        library.call("template.restore", "user")
        assert library.render()["body"] == "p"
        assert library.refused("template.delete", "p").code == "template_in_use"

    def test_a_purged_partial_leaves_nothing_behind(
        self, tasks: Tasks, library: Library, rows: Rows
    ) -> None:
        """Nor do versions become usable that need it."""
        library.publish("p", "p")
        library.user("{% include '@p' %}")
        library.user("x")
        library.publish("other", "{% include '@p' %}", kind="sms")
        library.call("template.delete", "other")
        assert uses(rows, library.id("user")) == [("1", library.id("p"))]
        purge(tasks, library, rows, "p")
        assert uses(rows, library.id("user")) == []
        assert rows.run(
            "SELECT count(*) FROM template_partials AS p"
            " LEFT JOIN templates AS t ON t.id = p.partial_id WHERE t.id IS NULL"
        ) == [(0,)]
        error = library.refused("render.one", "user", version="1")
        assert error.code == "template_syntax"
        assert library.id("p") in error.details[0]["snippet"]
        for task, name, keywords in (
            ("version.activate", "user", {"version": "1"}),
            ("template.restore", "other", {}),
        ):
            error = library.refused(task, name, **keywords)
            assert error.code == "template_not_found"
            assert f"'{library.id('p')}'" in error.message
        assert library.render()["body"] == "x"

    def test_a_new_partial_replaces_a_purged_one_of_the_same_id(
        self, tasks: Tasks, library: Library, rows: Rows
    ) -> None:
        """From the moment on at which a version that names it is current."""
        library.publish("p", "p")
        library.user("{% include '@p' %}")
        library.user("x")
        library.publish("other", "{% include '@p' %}", kind="sms")
        library.call("template.delete", "other")
        purge(tasks, library, rows, "p")
        library.create("p")
        library.publish("p", "new")
        library.call("version.activate", "user", version="1")
        library.call("template.restore", "other")
        assert library.render()["body"] == "new"
        assert library.call("render.one", "other")["body"] == "new"
        error = library.refused("template.delete", "p")
        assert (error.code, len(error.details)) == ("template_in_use", 2)


def purge(tasks: Tasks, library: Library, rows: Rows, name: str) -> None:
    """Delete a template for good."""
    library.call("template.delete", name)
    rows.run(
        "UPDATE templates SET deleted_at = now() - interval '31 days' WHERE template_id = %(id)s",
        id=library.id(name),
    )
    tasks.call("maintenance.purge_templates")
    assert rows.counts(library.id(name)) == (0, 0, 0, 0)


class TestCode:
    """Styles and scripts, in which values are validated by their position."""

    def test_values_of_partials_do_not_get_into_them(self, library: Library) -> None:
        """Neither by an include nor by a block of a layout; text without values does."""
        library.publish("rules", ".a{color:red}")
        library.publish("colours", ".a{color:{{ colour }}}")
        library.publish("layout", "<style>{% block css %}{% endblock %}</style>")
        for body in (
            '<style>{% include "@colours" %}</style>',
            '{% extends "@layout" %}{% block css %}a{b:{{ colour }}}{% endblock %}',
        ):
            error = library.unpublishable("user", body, "email")
            assert [problem["type"] for problem in error.details] == ["unsafe_placeholder"]
        library.user('<style>{% include "@rules" %}</style>')
        assert library.render()["body"] == "<style>.a{color:red}</style>"

    def test_a_partial_in_a_style_gains_no_value(self, library: Library) -> None:
        """Its users were published without one; also where a template uses it through another."""
        library.publish("rules", ".a{color:red}", version="plain")
        library.publish("sheet", '{% include "@rules" %}')
        library.user('<style>{% include "@sheet" %}</style>')
        value = ".a{color:{{ colour | default('red') }}}"
        error = library.unpublishable("rules", value, allow_breaking=True)
        assert [problem["type"] for problem in error.details] == ["unsafe_placeholder"]
        assert library.id("user") in error.details[0]["message"]
        assert library.render()["body"] == "<style>.a{color:red}</style>"
        draft = library.publish("rules", value, allow_breaking=True, activate=False)
        refused = library.refused("version.activate", "rules", version=draft["version"])
        assert refused.code == "template_syntax"
        library.publish("other", value)
        assert library.unpublishable("sheet", '{% include "@other" %}', allow_breaking=True)

    def test_a_block_with_a_value_does_not_move_into_a_style(self, library: Library) -> None:
        """Of a layout that templates extend."""
        library.publish("layout", "<p>{% block text %}{% endblock %}</p>")
        library.user('{% extends "@layout" %}{% block text %}{{ name }}{% endblock %}')
        moved = "<style>{% block text %}{% endblock %}</style>"
        error = library.unpublishable("layout", moved, allow_breaking=True)
        assert "block 'text' is in a style" in error.details[0]["message"]

    def test_a_partial_that_no_style_has_gains_values(self, library: Library) -> None:
        """Also beside a style."""
        library.publish("greeting", "<p>Hello</p>")
        library.user('<style>p{color:red}</style>{% include "@greeting" %}')
        library.publish("greeting", "<p>Hello {{ name | default('you') }}</p>", allow_breaking=True)
        assert "Hello you" in library.render()["body"]
