"""``version.*``: publishing through the gate, activating, listing."""

from typing import Any

import pytest

from tasks.messages.fields import canonical_language
from tasks.rendering.limits import Limits
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


def publish(tasks: Tasks, template: str, body: str = "x", **keywords: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Publish a version."""
    return tasks.call("version.publish", {"template_id": template, "body": body} | keywords)


def refused(tasks: Tasks, template: str, body: str = "x", **keywords: Any) -> RefusedError:  # noqa: ANN401 - any JSON value
    """Return the refusal of a publish."""
    with pytest.raises(RefusedError) as caught:
        publish(tasks, template, body, **keywords)
    return caught.value


class TestNumbers:
    """Names and order of versions."""

    def test_versions_are_numbered_from_1(self, tasks: Tasks, rows: Rows) -> None:
        """Each is current from its publish on, and names the one before."""
        template = templates.created(tasks)
        answers = [publish(tasks, template) for _ in range(3)]
        assert [answer["version"] for answer in answers] == ["1", "2", "3"]
        assert [answer["previous_version"] for answer in answers] == [None, "1", "2"]
        assert all(answer["is_current"] for answer in answers)
        assert len({answer["version_id"] for answer in answers}) == 3
        assert rows.counts(template) == (1, 3, 0, 1)

    @each(
        ("given", "following"),
        [
            (["7"], "8"),
            (["7", "3"], "8"),
            (["9", "10"], "11"),
            (["v2", "2026-01-31"], "1"),
            (["2", "v9"], "3"),
            (["007"], "8"),
            (["20260131120000"], "20260131120001"),
            (["999999999"], "1000000000"),
            (["999999999", "1000000000"], "1000000001"),
        ],
    )
    def test_the_next_number_is_above_every_whole_number(
        self, tasks: Tasks, given: list[str], following: str
    ) -> None:
        """Names that are no number do not count, and long ones do."""
        template = templates.created(tasks)
        for name in given:
            assert publish(tasks, template, version=name)["version"] == name
        assert publish(tasks, template)["version"] == following

    def test_a_version_name_exists_once(self, tasks: Tasks, rows: Rows) -> None:
        """A version is immutable: its name is never written over."""
        template = templates.published(tasks, "One", version="v1")
        before = rows.counts(template)
        error = refused(tasks, template, "Two", version="v1")
        assert (error.code, error.paths) == ("version_exists", {"version"})
        assert rows.counts(template) == before
        assert tasks.call("template.get", {"template_id": template})["version"]["body"] == "One"

    def test_version_names_are_case_sensitive(self, tasks: Tasks) -> None:
        """Two names, two versions."""
        template = templates.created(tasks)
        assert publish(tasks, template, version="V1")["version"] == "V1"
        assert publish(tasks, template, version="v1")["version"] == "v1"

    def test_each_template_numbers_its_versions_separately(self, tasks: Tasks) -> None:
        """A number is of a template."""
        assert publish(tasks, templates.created(tasks))["version"] == "1"
        assert publish(tasks, templates.created(tasks))["version"] == "1"


class TestExpectedVersion:
    """``expected_version`` makes a publish or activate conditional."""

    def test_a_publish_with_the_expected_version_passes(self, tasks: Tasks) -> None:
        """Nobody came between."""
        template = templates.published(tasks)
        assert publish(tasks, template, expected_version="1")["version"] == "2"
        answer = tasks.call(
            "version.activate", {"template_id": template, "version": "1", "expected_version": "2"}
        )
        assert (answer["version"], answer["previous_version"]) == ("1", "2")

    def test_a_version_conflict_reports_both_versions(self, tasks: Tasks, rows: Rows) -> None:
        """And nothing of its publish stays."""
        template = templates.published(tasks)
        publish(tasks, template)
        before = rows.counts(template)
        error = refused(tasks, template, expected_version="1")
        assert (error.code, error.paths) == ("version_conflict", {"expected_version"})
        assert "'1'" in error.details[0]["message"]
        assert "'2'" in error.details[0]["message"]
        assert rows.counts(template) == before
        with pytest.raises(RefusedError) as caught:
            tasks.call(
                "version.activate",
                {"template_id": template, "version": "1", "expected_version": "1"},
            )
        assert caught.value.code == "version_conflict"

    def test_expecting_a_version_of_an_empty_template_is_a_conflict(self, tasks: Tasks) -> None:
        """There is none, and the answer says so."""
        error = refused(tasks, templates.created(tasks), expected_version="1")
        assert error.code == "version_conflict"
        assert "none" in error.message


class TestActivate:
    """``version.activate``: roll back and forward."""

    def test_activate_rolls_back_and_forward(self, tasks: Tasks, rows: Rows) -> None:
        """What renders is the active version, at once."""
        template = templates.published(tasks, "One")
        publish(tasks, template, "Two")
        for version, body, previous in (("1", "One", "2"), ("2", "Two", "1"), ("2", "Two", "2")):
            answer = tasks.call("version.activate", {"template_id": template, "version": version})
            assert (answer["version"], answer["previous_version"]) == (version, previous)
            assert tasks.call("render.one", {"template_id": template})["body"] == body
            assert rows.counts(template) == (1, 2, 0, 1)

    def test_activating_a_missing_version_is_not_found(self, tasks: Tasks, rows: Rows) -> None:
        """The current one stays current; another template's version is not there either."""
        template = templates.published(tasks, "One")
        with pytest.raises(RefusedError) as caught:
            tasks.call("version.activate", {"template_id": template, "version": "2"})
        assert (caught.value.code, caught.value.paths) == ("version_not_found", {"version"})
        assert rows.counts(template) == (1, 1, 0, 1)

    def test_a_publish_may_leave_the_current_version(self, tasks: Tasks, rows: Rows) -> None:
        """``activate`` false prepares a version for later."""
        template = templates.created(tasks)
        first = publish(tasks, template, "One", activate=False)
        assert (first["is_current"], first["previous_version"]) == (False, None)
        assert rows.counts(template) == (1, 1, 0, 0)
        with pytest.raises(RefusedError) as caught:
            tasks.call("render.one", {"template_id": template})
        assert caught.value.code == "version_not_found"
        tasks.call("version.activate", {"template_id": template, "version": "1"})
        publish(tasks, template, "Two", activate=False)
        assert tasks.call("render.one", {"template_id": template})["body"] == "One"


class TestList:
    """``version.list``: every version, the newest first."""

    def test_versions_are_listed_newest_first_with_languages(self, tasks: Tasks) -> None:
        """Which is current does not change the order."""
        template = templates.created(tasks)
        publish(tasks, template, version="b")
        publish(tasks, template, version="a", translations={"fr": {"body": "y"}})
        publish(tasks, template, version="c")
        tasks.call("version.activate", {"template_id": template, "version": "b"})
        listed = tasks.call("version.list", {"template_id": template})
        assert listed["template_id"] == template
        versions = listed["versions"]
        assert [version["version"] for version in versions] == ["c", "a", "b"]
        assert [version["is_current"] for version in versions] == [False, False, True]
        assert versions[1]["languages"] == [{"language": "fr", "state": "current"}]
        times = [version["created_at"] for version in versions]
        assert times == sorted(times, reverse=True)

    def test_a_template_without_versions_has_an_empty_list(self, tasks: Tasks) -> None:
        """It is there, and so it is found."""
        assert (
            tasks.call("version.list", {"template_id": templates.created(tasks)})["versions"] == []
        )


class TestVariables:
    """What a version declares, or what is inferred from its sources."""

    def test_variables_are_inferred_from_every_source(self, tasks: Tasks) -> None:
        """Subject and body; what is guarded in each of them and in each language is optional."""
        answer = publish(
            tasks,
            templates.created(tasks),
            "{{ a }}{{ b|default('x') }}{% for i in items %}{{ i.name }}{% endfor %}{{ u.v.w }}"
            "{{ d|default('x') }}",
            subject="{{ s }}",
            translations={
                "de": {
                    "body": "{{ s }}{{ b|default('x') }}{{ d }}{{ u.v.w }}",
                    "subject": "{{ a }}{{ items|length }}",
                }
            },
        )
        assert {variable["name"]: variable["required"] for variable in answer["variables"]} == {
            "a": True,
            "b": False,
            "d": True,
            "items": True,
            "items[].name": True,
            "s": True,
            "u.v.w": True,
        }
        assert {variable["type"] for variable in answer["variables"]} == {"any"}

    def test_an_object_used_whole_and_by_member_is_one_variable(self, tasks: Tasks) -> None:
        """``user`` says all that ``user.name`` does."""
        answer = publish(
            tasks, templates.created(tasks), "{{ user.name }}{{ user|tojson }}{{ username }}"
        )
        assert [variable["name"] for variable in answer["variables"]] == ["user", "username"]

    def test_a_guarded_variable_may_be_left_out(self, tasks: Tasks) -> None:
        """And one that is not guarded everywhere may not."""
        template = templates.published(
            tasks, "{% if nick is defined %}{{ nick }}{% else %}{{ name }}{% endif %}"
        )
        call = {"template_id": template, "variables": {"name": "Ann"}}
        assert tasks.call("render.one", call)["body"] == "Ann"
        with pytest.raises(RefusedError) as caught:
            tasks.call("render.one", {"template_id": template})
        assert caught.value.paths == {"variables.name"}

    def test_common_templates_can_be_published_without_declaring(self, tasks: Tasks) -> None:
        """What nobody declared may have any shape: methods, sums, dictionaries."""
        template = templates.published(
            tasks,
            "{% for key, value in order.items() %}{{ key }}={{ value }};{% endfor %}"
            "{{ price + 1 }}{{ name.upper() }}{{ lines[0].text }}",
        )
        variables = {
            "order": {"a": 1},
            "price": 2,
            "name": "ann",
            "lines": [{"text": "t"}],
        }
        rendered = tasks.call("render.one", {"template_id": template, "variables": variables})
        assert rendered["body"] == "a=1;3ANNt"

    def test_declared_variables_are_stored_unchanged(self, tasks: Tasks) -> None:
        """In their order, also those that no source uses yet."""
        declared = [
            {
                "name": "z.a",
                "type": "number",
                "required": False,
                "default": 0,
                "description": "d",
                "example": 2.5,
            },
            "b",
        ]
        answer = publish(
            tasks, templates.created(tasks), "{{ z.a }}", variables=declared, version="1"
        )
        assert answer["variables"] == [
            declared[0],
            {"name": "b", "type": "any", "required": True},
        ]

    def test_every_undeclared_placeholder_is_named(self, tasks: Tasks, rows: Rows) -> None:
        """In each source of the version's own text, by its path and place."""
        template = templates.created(tasks)
        error = refused(
            tasks, template, "{{ a }}\n{{ b }}", subject="{{ c.d }}{{ a }}", variables=["a", "c.e"]
        )
        assert error.code == "placeholder_mismatch"
        named = [(problem["path"], problem["message"].split("'")[1]) for problem in error.details]
        assert named == [("subject", "c.d"), ("body", "b")]
        assert {problem["type"] for problem in error.details} == {"undeclared"}
        assert [problem["line"] for problem in error.details] == [1, 2]
        assert rows.counts(template) == (1, 0, 0, 0)

    def test_a_translation_has_the_placeholders_of_the_own_text(
        self, tasks: Tasks, rows: Rows
    ) -> None:
        """No more and no fewer, wherever in subject and body they stand."""
        template = templates.created(tasks)
        error = refused(
            tasks,
            template,
            "{{ a }}{{ b }}",
            subject="{{ c.d }}",
            variables=["a", "b", "c", "f"],
            translations={
                "de": {"body": "{{ f }}\n{{ c.d }}{{ g }}", "subject": "{{ a }}"},
                "fr": {"body": "{{ b }}{{ a }}", "subject": "{{ c.d }}"},
                "it": {"body": "{{ b }}{{ a }}"},
            },
        )
        assert error.code == "placeholder_mismatch"
        problems = [
            (problem["path"], problem["type"], problem["message"].split("'")[1])
            for problem in error.details
        ]
        assert problems == [
            ("translations.de.body", "lost", "b"),
            ("translations.de.body", "added", "f"),
            ("translations.de.body", "added", "g"),
        ]
        assert [problem.get("line") for problem in error.details] == [None, 1, 2]
        assert rows.counts(template) == (1, 0, 0, 0)

    def test_defaults_and_examples_must_fit_their_types(self, tasks: Tasks, rows: Rows) -> None:
        """Each by its path; an unusable default would break renders later."""
        template = templates.created(tasks)
        error = refused(
            tasks,
            template,
            "x",
            variables=[
                {"name": "a", "type": "integer", "default": "1"},
                {"name": "b", "type": "url", "example": "javascript:alert(1)"},
                {"name": "c", "type": "date", "default": "2026-01-31", "example": "yesterday"},
            ],
        )
        assert error.code == "variables_invalid"
        assert error.paths == {
            "variables[0].default",
            "variables[1].example",
            "variables[2].example",
        }
        assert rows.counts(template) == (1, 0, 0, 0)


class TestGate:
    """Nothing is stored before everything about it is right."""

    def test_all_problems_of_all_sources_come_in_one_answer(self, tasks: Tasks, rows: Rows) -> None:
        """Syntax, values and placeholders together, each with its place; nothing stays."""
        template = templates.published(tasks)
        before = rows.counts(template)
        error = refused(
            tasks,
            template,
            "line one\n{% if %}",
            subject="{{ undeclared }}",
            variables=[{"name": "a", "type": "integer", "default": "x"}],
            translations={
                "de": {"body": "{{ }}"},
                "fr": {"body": "{{ a }}", "subject": "{% autoescape false %}"},
            },
        )
        assert error.code == "template_syntax"
        assert error.paths == {
            "body",
            "subject",
            "translations.de.body",
            "translations.fr.subject",
            "variables[0].default",
        }
        body = next(problem for problem in error.details if problem["path"] == "body")
        assert (body["line"], body["column"]) == (2, 7)
        assert body["snippet"] == "{% if %}\n      ^"
        assert rows.counts(template) == before

    @pytest.mark.parametrize(
        "body",
        [
            "{{ x|safe }}",
            "{% autoescape false %}{{ x }}{% endautoescape %}",
            "{{ '{#' }}{% autoescape false %}{{ x }}{% endautoescape %}{{ '#}' }}",
            "{{ debug() }}",
            "{% include 'other' %}",
            "{% extends 'other' %}",
            "{{ x|nosuchfilter }}",
            "{% for %}",
            "{{ x",
            "{% if x %}",
            "{% endif %}",
            "{{ 1 + 'a' }}",
        ],
    )
    def test_a_source_that_cannot_render_is_refused(
        self, tasks: Tasks, rows: Rows, body: str
    ) -> None:
        """At publish, where its author sees it."""
        template = templates.created(tasks)
        error = refused(tasks, template, body)
        assert (error.code, error.paths) == ("template_syntax", {"body"})
        assert rows.counts(template) == (1, 0, 0, 0)

    @pytest.mark.parametrize(
        "body",
        [
            (
                "{% set ns = namespace(x='ab') %}{% for i in range(60) %}"
                "{% set ns.x = ns.x ~ ns.x %}{% endfor %}"
            ),
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
            "{{ [1] * 100000000 }}",
            "{{ '{:>1000000000}'.format(1) }}",
            "{{ 'a' * 3000000 }}",
        ],
    )
    def test_a_source_over_the_render_limits_is_refused(
        self, tasks: Tasks, rows: Rows, body: str
    ) -> None:
        """The trial render meets the same limits as a real one."""
        template = templates.created(tasks)
        error = refused(tasks, template, body)
        assert error.code == "render_limit_exceeded"
        assert rows.counts(template) == (1, 0, 0, 0)
        assert publish(tasks, template)["version"] == "1"

    def test_a_translation_over_the_render_limits_is_refused(
        self, tasks: Tasks, rows: Rows
    ) -> None:
        """Every source is tried."""
        template = templates.created(tasks)
        bomb = {"body": "{{ 'a' * 3000000 }}"}
        error = refused(tasks, template, translations={"de": bomb})
        assert error.code == "render_limit_exceeded"
        assert rows.counts(template) == (1, 0, 0, 0)

    def test_misuse_of_a_declared_type_is_refused(self, tasks: Tasks) -> None:
        """A trial render with the example, or with a value made from the type."""
        template = templates.created(tasks)
        declared: list[dict[str, Any]] = [{"name": "x", "type": "string"}]
        assert refused(tasks, template, "{{ x + 1 }}", variables=declared).code == "template_syntax"
        declared = [{"name": "x", "type": "any", "example": {"a": 1}}]
        assert refused(tasks, template, "{{ x.b }}", variables=declared).code == "template_syntax"
        assert publish(tasks, template, "{{ x.a }}", variables=declared)["version"] == "1"

    def test_a_subject_that_is_always_too_long_is_refused(self, tasks: Tasks) -> None:
        """998 characters, and no template can do anything about it later."""
        subject = "a" * 999
        error = refused(tasks, templates.created(tasks), subject=subject)
        assert error.code == "render_limit_exceeded"
        assert error.paths == {"subject"}

    def test_sources_over_their_limit_are_too_large(self, tasks: Tasks) -> None:
        """Each with its size and limit."""
        limits = Limits()
        error = refused(
            tasks,
            templates.created(tasks),
            "a" * (limits.body_bytes + 1),
            subject="a" * (limits.subject_bytes + 1),
        )
        assert (error.code, error.paths) == ("too_large", {"body", "subject"})
        assert str(limits.body_bytes) in json_of(error)
        assert str(limits.subject_bytes + 1) in json_of(error)

    def test_a_source_at_its_limit_passes(self, tasks: Tasks) -> None:
        """256 KiB of body, most of it text."""
        body = "{{ x }}".ljust(Limits().body_bytes, "a")
        assert publish(tasks, templates.created(tasks), body)["version"] == "1"

    def test_a_version_has_at_most_200_translations(self, tasks: Tasks) -> None:
        """200 are published at once; 201 are not."""
        tags = languages(201)
        texts = {tag: {"body": "x"} for tag in tags}
        template = templates.created(tasks)
        error = refused(tasks, template, translations=texts)
        assert (error.code, error.paths) == ("too_large", {"translations"})
        texts.pop(tags[-1])
        assert publish(tasks, template, translations=texts)["version"] == "1"
        with pytest.raises(RefusedError) as caught:
            tasks.call(
                "translation.upsert",
                {"template_id": template, "language_code": tags[-1], "body": "y"},
            )
        assert (caught.value.code, caught.value.paths) == ("too_large", {"language_code"})
        replaced = tasks.call(
            "translation.upsert", {"template_id": template, "language_code": tags[0], "body": "y"}
        )
        assert replaced["created"] is False


class TestTranslations:
    """Translations that come with a publish."""

    def test_translations_are_stored_with_the_version(self, tasks: Tasks, rows: Rows) -> None:
        """In one transaction, under their canonical tags."""
        template = templates.published(
            tasks, "One", translations={"DE": {"body": "Eins"}, "pt_br": {"body": "Um"}}
        )
        assert rows.counts(template) == (1, 1, 2, 1)
        rendered = tasks.call("render.one", {"template_id": template, "language": "pt-BR"})
        assert rendered["body"] == "Um"

    def test_matching_translations_are_carried_over(self, tasks: Tasks, rows: Rows) -> None:
        """Stale where the own text changed; the message's own come before them."""
        template = templates.published(
            tasks, "One", translations={tag: {"body": tag} for tag in ("it", "de", "fr")}
        )
        answer = publish(tasks, template, "Two", translations={"fr": {"body": "y"}})
        expected = {"carried": ["de", "it"], "stale": ["de", "it"], "dropped": []}
        assert answer["translations"] == expected
        for language, body in (("de", "de"), ("it", "it"), ("fr", "y")):
            call = {"template_id": template, "language": language}
            assert tasks.call("render.one", call)["body"] == body
        assert rows.counts(template)[2] == 6
        again = publish(tasks, template, "Two")["translations"]
        assert (again["carried"], again["dropped"]) == (["de", "fr", "it"], [])

    def test_a_translation_of_an_unchanged_text_is_not_stale(self, tasks: Tasks) -> None:
        """A version with other metadata has the same text to translate."""
        template = templates.published(tasks, "One", translations={"de": {"body": "Eins"}})
        answer = publish(tasks, template, "One", metadata={"campaign": 7})
        assert answer["translations"] == {"carried": ["de"], "stale": [], "dropped": []}

    def test_mismatching_translations_are_dropped_and_listed(
        self, tasks: Tasks, rows: Rows
    ) -> None:
        """By their placeholders, or because their trial render fails now."""
        template = templates.published(
            tasks,
            "{{ a }}",
            variables=[{"name": "a", "type": "integer"}, {"name": "b", "type": "string"}],
            translations={
                "de": {"body": "{{ a }}!"},
                "fr": {"body": "{{ a + 1 }}"},
            },
        )
        texts = [{"name": "a", "type": "string"}, {"name": "b", "type": "string"}]
        drop = {"allow_dropped_translations": True}
        answer = publish(
            tasks, template, "a: {{ a }}", variables=texts, allow_breaking=True, **drop
        )
        assert answer["translations"] == {"carried": ["de"], "stale": ["de"], "dropped": ["fr"]}
        answer = publish(tasks, template, "{{ a }}{{ b }}", variables=texts, **drop)
        assert answer["translations"] == {"carried": [], "stale": [], "dropped": ["de"]}
        assert rows.counts(template)[2] == 3

    def test_carry_translations_false_carries_nothing(self, tasks: Tasks, rows: Rows) -> None:
        """Then those that the message does not bring are dropped and named."""
        template = templates.published(
            tasks, "One", translations={tag: {"body": "x"} for tag in ("de", "fr", "it")}
        )
        answer = publish(
            tasks, template, "Two", translations={"fr": {"body": "y"}}, carry_translations=False
        )
        assert answer["translations"] == {"carried": [], "stale": [], "dropped": ["de", "it"]}
        assert rows.counts(template)[2] == 4


def test_a_publish_result_has_the_documented_fields(tasks: Tasks) -> None:
    """Every member, whether or not there is anything to tell."""
    template = templates.created(tasks)
    assert set(publish(tasks, template)) >= {
        "version",
        "version_id",
        "previous_version",
        "variables",
        "translations",
        "breaking",
        "warnings",
    }


def languages(count: int) -> list[str]:
    """Return that many language tags that can be stored."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    tags = []
    for language in ("en", "fr"):
        for tag in (f"{language}-{one}{two}" for one in letters for two in letters):
            try:
                if canonical_language(tag) == tag:
                    tags.append(tag)
            except ValueError:
                continue
            if len(tags) == count:
                return tags
    raise AssertionError("there are too few territories")


def json_of(error: RefusedError) -> str:
    """Return all that a refusal says."""
    return str(error.args)
