"""The publish gate: nothing is stored before everything about it is right."""

from typing import Any

import pytest

from tests.factories import templates
from tests.support.producer import RefusedError
from tests.support.rows import Rows
from tests.support.tasks import Tasks
from worker.local import LocalStack

Declared = list[dict[str, Any]]
Changes = list[tuple[str, str]]


@pytest.fixture
def rows(servers: LocalStack) -> Rows:
    """Look at the database of the tasks."""
    return Rows(servers.postgres.url)


class Author:
    """Publishes versions of one template, and makes sure that a refusal leaves nothing behind."""

    def __init__(self, tasks: Tasks, rows: Rows, **template: Any) -> None:  # noqa: ANN401 - a message's keywords
        self._tasks = tasks
        self._rows = rows
        self.template = templates.created(tasks, **template)

    def publish(self, body: str = "x", **keywords: Any) -> Any:  # noqa: ANN401 - any JSON value
        """Publish a version."""
        message = {"template_id": self.template, "body": body}
        return self._tasks.call("version.publish", message | keywords)

    def refused(self, body: str = "x", **keywords: Any) -> RefusedError:  # noqa: ANN401 - any JSON value
        """Return the refusal of a publish."""
        return self.refusal("version.publish", {"body": body} | keywords)

    def refusal(self, task: str, keywords: dict[str, Any]) -> RefusedError:
        """Return the refusal of a message about the template."""
        before = self.stored()
        key = templates.template_id("key")
        with pytest.raises(RefusedError) as caught:
            self._tasks.call(
                task, {"template_id": self.template, "idempotency_key": key} | keywords
            )
        assert self.stored() == before, "a refused message stores nothing"
        assert self._rows.records(key) == 0, "a refused message may be sent again, mended"
        return caught.value

    def stored(self) -> list[tuple[Any, ...]]:
        """Return all that is stored of the template."""
        return self._rows.run(
            "SELECT t.updated_at, v.version, v.is_current, x.language_code, x.body, x.is_stale,"
            " x.updated_at, p.partial_id"
            " FROM templates AS t"
            " LEFT JOIN template_versions AS v ON v.template_id = t.id"
            " LEFT JOIN template_translations AS x ON x.template_version_id = v.id"
            " LEFT JOIN template_partials AS p ON p.template_version_id = v.id"
            " WHERE t.template_id = %(id)s ORDER BY v.version, x.language_code, p.partial_id",
            id=self.template,
        )


@pytest.fixture
def author(tasks: Tasks, rows: Rows) -> Author:
    """Give the author of an e-mail that has no version yet."""
    return Author(tasks, rows)


def changes_of(error: RefusedError) -> Changes:
    """Return path and type of each problem, sorted."""
    return sorted((problem["path"], problem["type"]) for problem in error.details)


def marked(problem: dict[str, Any]) -> str:
    """Return what stands above the caret of a snippet, to the end of the line."""
    line, caret = problem["snippet"].split("\n")
    assert caret.endswith("^")
    assert caret.strip() == "^"
    return str(line[len(caret) - 1 :])


class TestPlaces:
    """Line, column, and a snippet whose caret stands under the place."""

    @pytest.mark.parametrize(
        ("source", "place"),
        [
            ("{{ x|nosuch }}", "nosuch }}"),
            ("one\ntwo\n\n  {{ x|nosuch }}\nfive", "nosuch }}"),
            ("one\n\n{{ x\n|\nnosuch }}", "nosuch }}"),
            ("é€😀 {{ x|nosuch }}", "nosuch }}"),
            ("é€😀\n\u0635\u00a0{% if x is nosuch %}{% endif %}", "nosuch %}"),
            ("one\r\ntwo {{ x|nosuch }}\r\n", "nosuch }}"),
            ("a\u2028b\x0bc\x0cd {{ x|nosuch }}", "nosuch }}"),
            (f"{'a' * 500}{{{{ x|nosuch }}}}{'b' * 500}", "nosuch }}b"),
            (f"{'é' * 59}{{{{ x|nosuch }}}}{'b' * 500}", "nosuch }}b"),
            ("é one\n two {% if %}", "%}"),
            (f"é{'a' * 200} {{% if %}} {'b' * 200}", "%} b"),
            ("one\n{{ x", ""),
            ("ünï {% for i in %}{% endfor %}", "%}{%"),
            ("one\n  {% include 'gone' %}", "{% include 'gone' %}"),
            ("one {% extends name %}", "{% extends name %}"),
            ("one\n {% import 'a' as b %}", "{% import 'a' as b %}"),
            ("<b>é</b>\n<a href={{ x }}>", "{{ x }}>"),
            ("é\n{% autoescape false %}{% endautoescape %}", "autoescape false"),
            ("é\n é{{ 1|currency('EURO') }}", "currency("),
            ("é\n é{{ 1 + 'a' }}", "1 + 'a'"),
        ],
    )
    def test_the_caret_is_under_the_place(self, author: Author, source: str, place: str) -> None:
        """Whatever the source is made of: other scripts, long lines, many lines."""
        error = author.refused(source)
        (problem,) = error.details
        assert (error.code, problem["path"]) == ("template_syntax", "body")
        line = source.split("\n")[problem["line"] - 1]
        assert line[problem["column"] - 1 :].startswith(place)
        assert marked(problem).startswith(place)
        assert len(problem["snippet"].split("\n")[0]) <= 120

    def test_the_caret_is_under_the_place_behind_tabs(self, author: Author) -> None:
        """A tab is as wide above the caret as before it."""
        (problem,) = author.refused("\t{# \t #}\t{{ x|nosuch }}").details
        line, caret = problem["snippet"].expandtabs().split("\n")
        assert line[caret.index("^") :].startswith("nosuch")
        assert problem["column"] == 15

    @pytest.mark.parametrize(
        ("path", "keywords"),
        [
            ("subject", {"subject": "{{ é\n|nosuch }}"}),
            ("translations.de.body", {"translations": {"de": {"body": "{{ é\n|nosuch }}"}}}),
            (
                "translations.de.subject",
                {"translations": {"de": {"body": "x", "subject": "{{ é\n|nosuch }}"}}},
            ),
        ],
    )
    def test_line_and_column_are_counted_in_each_source(
        self, author: Author, path: str, keywords: dict[str, Any]
    ) -> None:
        """Not of the body, nor of the message."""
        error = author.refused("\n\n\nx", **keywords)
        (problem,) = (each for each in error.details if each["type"] == "unknown_filter")
        assert (problem["path"], problem["line"], problem["column"]) == (path, 2, 2)
        assert marked(problem) == "nosuch }}"

    def test_placeholder_problems_have_line_and_column(self, author: Author) -> None:
        """Where they are first used, but for lost ones, which have no place."""
        error = author.refused(
            "\n {{ b }}{{ b }}{{ a.c }}",
            variables=["a"],
            translations={"de": {"body": "é\n\t{{ a.b }}{{ b }}"}},
        )
        assert error.code == "placeholder_mismatch"
        problems = {problem["type"]: problem for problem in error.details}
        assert sorted(problems) == ["added", "lost", "undeclared"]
        assert (problems["undeclared"]["line"], problems["undeclared"]["column"]) == (2, 5)
        assert marked(problems["undeclared"]).startswith("b }}{{ b }}")
        assert (problems["added"]["line"], problems["added"]["column"]) == (2, 5)
        assert "line" not in problems["lost"]

    def test_problems_of_an_upsert_have_line_and_column(self, author: Author) -> None:
        """Its only source is the translation."""
        author.publish("{{ x }}")
        error = author.refusal(
            "translation.upsert", {"language_code": "de", "body": "{{ x }}\n{{ x|nosuch }}"}
        )
        (problem,) = error.details
        assert (problem["path"], problem["line"], problem["column"]) == ("body", 2, 6)
        assert marked(problem) == "nosuch }}"


class TestAllAtOnce:
    """An author mends everything in one go."""

    def test_every_problem_of_a_message_is_in_one_answer(self, author: Author) -> None:
        """Of every kind, in every source."""
        author.publish("{{ b }}")
        error = author.refused(
            "{{ a|nofilter }}{% if a is notest %}{% endif %}\n"
            "<a href={{ a }} onclick='{{ a }}'>{% include 'gone' %}{% include a %}",
            subject="{{ b }}",
            variables=["a", {"name": "c", "type": "integer", "default": "x", "example": 1.5}],
            translations={
                "de": {"body": "{{ }}"},
                "fr": {"body": "{{ d }}", "subject": "{{ a }}"},
                "it": {"body": "{{ a }}"},
            },
        )
        assert error.code == "template_syntax"
        assert changes_of(error) == [
            ("body", "partial"),
            ("body", "partial_not_found"),
            ("body", "unknown_filter"),
            ("body", "unknown_test"),
            ("body", "unsafe_placeholder"),
            ("body", "unsafe_placeholder"),
            ("subject", "undeclared"),
            ("translations.de.body", "syntax_error"),
            ("translations.fr.body", "added"),
            ("translations.fr.body", "lost"),
            ("variables[1].default", "integer"),
            ("variables[1].example", "integer"),
        ]

    def test_every_failed_trial_render_is_reported(self, author: Author) -> None:
        """What only a render shows, in each source."""
        wrong = "{{ x + 1 }}"
        error = author.refused(
            "{{ x }}",
            subject=wrong,
            variables=[{"name": "x", "type": "string"}],
            translations={"de": {"body": wrong, "subject": "{{ x }}"}, "fr": {"body": "{{ x }}"}},
        )
        assert error.code == "template_syntax"
        assert error.paths == {"subject", "translations.de.body"}

    def test_no_problem_holds_a_value(self, author: Author) -> None:
        """Defaults and examples may be somebody's data."""
        private = "jane.doe@example.org"
        declared = [
            {"name": "a", "type": "integer", "default": private},
            {"name": "b", "type": "string", "example": private},
        ]
        error = author.refused("{{ a }}{{ b }}", variables=declared)
        assert private not in str(error.args)
        error = author.refused("{{ b + 1 }}", variables=declared[1:])
        assert private not in str(error.args)


class TestPlaceholders:
    """Those that are declared, and equal ones in each language."""

    def test_lost_and_added_placeholders_are_reported_for_each_language(
        self, author: Author
    ) -> None:
        """For all languages at once."""
        error = author.refused(
            "{{ a }}{{ b.c }}",
            variables=["a", "b"],
            translations={
                "de": {"body": "{{ a }}{{ b.c }}"},
                "fr": {"body": "{{ a }}{{ d }}"},
                "pt-BR": {"body": "{{ b.d }}{{ b.c }}{{ a }}{{ a }}"},
            },
        )
        assert error.code == "placeholder_mismatch"
        assert [
            (problem["path"], problem["type"], problem["message"].split("'")[1])
            for problem in error.details
        ] == [
            ("translations.fr.body", "lost", "b.c"),
            ("translations.fr.body", "added", "d"),
            ("translations.pt-BR.body", "added", "b.d"),
        ]
        assert all(problem["path"].split(".")[1] in problem["message"] for problem in error.details)

    def test_a_translation_without_a_subject_uses_the_versions_placeholders(
        self, author: Author
    ) -> None:
        """And so its placeholders; one with a subject of its own has those of that."""
        translations = {
            "de": {"body": "{{ b }}"},
            "fr": {"body": "{{ b }}", "subject": "Bonjour"},
            "it": {"body": "{{ b }}{{ s }}", "subject": "Ciao"},
            "es": {"body": "{{ s }}", "subject": "{{ b }}"},
        }
        error = author.refused("{{ b }}", subject="{{ s }}", translations=translations)
        assert changes_of(error) == [("translations.fr.body", "lost")]
        translations.pop("fr")
        author.publish("{{ b }}", subject="{{ s }}", translations=translations)

    def test_an_upsert_must_match_the_versions_placeholders(self, author: Author) -> None:
        """With the subject of the version, where it has none."""
        author.publish("{{ b }}", subject="{{ s }}")
        upsert = {"language_code": "de", "body": "{{ c }}", "subject": "Hallo"}
        error = author.refusal("translation.upsert", upsert)
        assert error.code == "placeholder_mismatch"
        assert [(problem["path"], problem["type"]) for problem in error.details] == [
            ("body", "lost"),
            ("body", "lost"),
            ("body", "added"),
        ]
        upsert = {"language_code": "de", "body": "{{ c }}"}
        error = author.refusal("translation.upsert", upsert)
        assert [problem["message"].split("'")[1] for problem in error.details] == ["b", "c"]

    @pytest.mark.parametrize(
        ("body", "names"),
        [
            ("{{ a }}{{ b.c }}", ["b.c"]),
            ("{% if c %}{{ a }}{% endif %}", ["c"]),
            ("{{ a|default(d) }}", ["d"]),
            ("{% for i in items %}{{ i }}{{ loop.index }}{% endfor %}{{ i }}", ["i", "items"]),
            ("{% set e = f %}{{ e }}", ["f"]),
            ("{% macro m(g) %}{{ g }}{{ h }}{% endmacro %}{{ m(a) }}", ["h"]),
            ("{{ a.b }}{{ range(3) }}{{ namespace() }}", []),
        ],
    )
    def test_undeclared_placeholders_are_refused(
        self, author: Author, body: str, names: list[str]
    ) -> None:
        """Names that the source itself gives a value are none of a producer's."""
        if not names:
            author.publish(body, variables=["a"])
            return
        error = author.refused(body, variables=["a"])
        assert error.code == "placeholder_mismatch"
        assert [problem["message"].split("'")[1] for problem in error.details] == names
        assert set(changes_of(error)) == {("body", "undeclared")}


class TestUnreached:
    """What the trial render does not come to is looked at all the same."""

    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            ("{% if false %}{{ x|nosuch }}{% endif %}", "unknown_filter"),
            ("{% if false %}{% filter nosuch %}{% endfilter %}{% endif %}", "unknown_filter"),
            ("{% for i in [] %}{{ i|upper|nosuch('a|b') }}{% endfor %}", "unknown_filter"),
            ("{% macro m() %}{{ 1|nosuch }}{% endmacro %}", "unknown_filter"),
            ("{{ x if true else x|nosuch }}", "unknown_filter"),
            ("{% if false and x is nosuch %}{% endif %}", "unknown_test"),
            ("{% if false %}{{ 1 is not nosuch }}{% endif %}", "unknown_test"),
            ("{% if false %}{% include 'gone' %}{% endif %}", "partial_not_found"),
            ("{% if false %}{% include x %}{% endif %}", "partial"),
            ("{% if false %}<a {{ x }}>{% endif %}", "unsafe_placeholder"),
        ],
    )
    def test_an_unreached_branch_is_refused(self, author: Author, body: str, kind: str) -> None:
        """Some render comes to it one day."""
        error = author.refused(body)
        assert (error.code, changes_of(error)) == ("template_syntax", [("body", kind)])

    @pytest.mark.parametrize(
        "body",
        [
            "{{ 'a|nosuch' }}{{ 'this is nosuch' }}{{ \"{% include 'gone' %}\" }}",
            "{% raw %}{{ x|nosuch }}{% include 'gone' %}{% import 'a' as b %}{% endraw %}",
            "a|nosuch is nosuch",
            "{# what is this|that {% include 'gone' %} <a href={{ x }}> #}",
            "{{ x|upper|default('|') }}{% if x is defined and x is not none %}{% endif %}",
        ],
    )
    def test_names_in_text_and_comments_are_no_placeholders(
        self, author: Author, body: str
    ) -> None:
        """Strings, comments and raw blocks are text."""
        assert author.publish(body)["version"] == "1"


class TestTrial:
    """A render with examples, or with values made from the types."""

    @pytest.mark.parametrize(
        ("body", "variable", "passes"),
        [
            ("{{ x[0].a }}", {"type": "array", "example": [{"a": 1}]}, True),
            ("{{ x[0].b }}", {"type": "array", "example": [{"a": 1}]}, False),
            ("{{ x.a.b }}", {"type": "object", "example": {"a": {"b": 1}}}, True),
            ("{{ x.a.c }}", {"type": "object", "example": {"a": {"b": 1}}}, False),
            ("{{ x + 1 }}", {"type": "any", "example": 2}, True),
            ("{{ x + 1 }}", {"type": "any", "example": "2"}, False),
            ("{{ x + 1 }}", {"type": "any"}, True),
            ("{{ x + 1 }}", {"type": "integer"}, True),
            ("{{ x + 1 }}", {"type": "string"}, False),
            ("{{ x + 1 }}", {"type": "string", "required": False}, False),
            ("{{ x }}", {"type": "string", "required": False}, False),
            ("{{ x|default('y') }}", {"type": "string", "required": False}, True),
            ("{{ x }}", {"type": "string", "required": False, "default": "y"}, True),
            ("{% if not x %}{{ 1 + 'a' }}{% endif %}", {"type": "boolean"}, False),
            ("{{ x|date }}", {"type": "date"}, True),
            ("{{ x|date }}", {"type": "string", "example": "2026-01-31"}, True),
            ("{{ x|date }}", {"type": "any", "example": "tomorrow"}, False),
            ("{{ x|plural(one='#', other='#') }}", {"type": "integer"}, True),
        ],
    )
    def test_trial_renders_use_examples_or_values_made_from_types(
        self,
        author: Author,
        body: str,
        variable: dict[str, Any],
        passes: bool,  # noqa: FBT001 - a column of the table
    ) -> None:
        """What is declared must be enough for the template."""
        declared = [{"name": "x"} | variable]
        if passes:
            assert author.publish(body, variables=declared)["version"] == "1"
        else:
            error = author.refused(body, variables=declared)
            assert (error.code, error.paths) == ("template_syntax", {"body"})

    @pytest.mark.parametrize(
        "declared",
        [
            None,
            ["p", "c"],
            [{"name": "p", "type": "number"}, {"name": "c", "type": "string"}],
            [{"name": "p", "type": "number", "example": 1.5}, {"name": "c", "type": "string"}],
            [{"name": "p", "type": "number"}, {"name": "c", "type": "string", "example": "EUR"}],
            [{"name": "p", "example": 1.5}, {"name": "c", "example": "EUR"}],
        ],
    )
    def test_a_variable_may_be_a_filter_argument(
        self, tasks: Tasks, author: Author, declared: list[Any] | None
    ) -> None:
        """A made-up value is not held against a filter."""
        keywords = {} if declared is None else {"variables": declared}
        author.publish("{{ p|currency(c) }}", **keywords)
        call = {"template_id": author.template, "variables": {"p": 2, "c": "EUR"}}
        assert tasks.call("render.one", call)["body"] == "€2.00"

    def test_an_example_that_a_filter_refuses_is_refused(self, author: Author) -> None:
        """It would not render as its author says it does."""
        declared = [{"name": "p", "example": 1}, {"name": "c", "example": "euros"}]
        error = author.refused("{{ p|currency(c) }}", variables=declared)
        assert (error.code, changes_of(error)) == ("template_syntax", [("body", "filter")])

    def test_every_language_gets_a_trial_render(self, author: Author) -> None:
        """A filter may need more in one language than in another."""
        plural = "{{ n|plural(one='#', other='#') }}"
        error = author.refused(
            plural, translations={"pl": {"body": plural}, "de": {"body": plural}}
        )
        assert (error.code, changes_of(error)) == (
            "template_syntax",
            [("translations.pl.body", "filter")],
        )

    def test_an_exceeded_limit_is_reported_with_its_source(self, author: Author) -> None:
        """And is no mistake of syntax."""
        error = author.refused(
            "x", subject="y", translations={"de": {"body": "x", "subject": "{{ 'a' * 999 }}"}}
        )
        assert (error.code, error.paths) == ("render_limit_exceeded", {"translations.de.subject"})


class TestUnsafePlaces:
    """Where escaping does not keep a value from being read as markup."""

    @pytest.mark.parametrize(
        "body",
        [
            "<a href={{ x }}>y</a>",
            "<a {{ x }}>y</a>",
            "<{{ x }}>",
            "<a on{{ x }}='y'>",
            "<a onclick='{{ x }}'>y</a>",
            "<iframe srcdoc='{{ x }}'></iframe>",
            "<script>{{ x }}</script>",
            "<a href={% if x %}{{ x }}{% endif %}>",
            "<a {% include 'p' %}>",
        ],
    )
    def test_placeholders_in_unsafe_places_of_html_are_refused(
        self, author: Author, body: str
    ) -> None:
        """With their place, in a translation too."""
        error = author.refused(body)
        assert error.code == "template_syntax"
        assert ("body", "unsafe_placeholder") in changes_of(error)
        error = author.refused("{{ x }}", translations={"de": {"body": body}})
        assert ("translations.de.body", "unsafe_placeholder") in changes_of(error)

    @pytest.mark.parametrize("kind", ["in_app", "partial"])
    def test_unsafe_places_are_refused_in_every_html_type(
        self, tasks: Tasks, rows: Rows, kind: str
    ) -> None:
        """Not in e-mails only."""
        error = Author(tasks, rows, type=kind).refused("<a href={{ x }}>")
        assert changes_of(error) == [("body", "unsafe_placeholder")]

    @pytest.mark.parametrize("kind", ["sms", "push"])
    def test_plain_text_has_no_unsafe_places(self, tasks: Tasks, rows: Rows, kind: str) -> None:
        """Nor has a subject."""
        assert Author(tasks, rows, type=kind).publish("<a href={{ x }}>")["version"] == "1"

    @pytest.mark.parametrize(
        ("body", "subject"),
        [
            ("<a href='{{ x }}' data-a=\"{{ x }}\">{{ x }}</a>", None),
            ("<script type='application/json'>{{ x|tojson }}</script>", None),
            ("x", "<a href={{ x }}>"),
        ],
    )
    def test_placeholders_in_safe_places_of_html_pass(
        self, author: Author, body: str, subject: str | None
    ) -> None:
        """Text, quoted values, data."""
        assert author.publish(body, subject=subject)["version"] == "1"


def variables(**kinds: Any) -> Declared:  # noqa: ANN401 - a type, or more of a variable
    """Return variables by name, each with a type or with more."""
    return [
        {"name": name} | ({"type": kind} if isinstance(kind, str) else kind)
        for name, kind in kinds.items()
    ]


class TestBreaking:
    """A version that would refuse what producers of the current one send."""

    REFUSED = pytest.mark.parametrize(
        ("before", "after", "changes"),
        [
            (variables(), variables(a="string"), [("variables.a", "now_required")]),
            (
                variables(a={"required": False}),
                variables(a={}),
                [("variables.a", "now_required")],
            ),
            (variables(a={"default": 1}), variables(a={}), [("variables.a", "now_required")]),
            (variables(a="any"), variables(a="string"), [("variables.a", "type_changed")]),
            (variables(a="integer"), variables(a="number"), [("variables.a", "type_changed")]),
            (
                variables(a="string", b={"required": False}, c="date"),
                variables(a="url", b={}, c="date", d={}),
                [
                    ("variables.a", "type_changed"),
                    ("variables.b", "now_required"),
                    ("variables.d", "now_required"),
                ],
            ),
        ],
    )

    @REFUSED
    def test_a_breaking_change_is_refused_with_every_change_named(
        self,
        author: Author,
        before: Declared,
        after: Declared,
        changes: Changes,
    ) -> None:
        """Also when it is not made current: nothing looks at it again before it is."""
        author.publish(variables=before)
        for keywords in ({}, {"activate": False}, {"version": "v2"}, {"carry_translations": False}):
            error = author.refused(variables=after, **keywords)
            assert (error.code, changes_of(error)) == ("breaking_change", changes)
            assert "allow_breaking" in error.message

    @REFUSED
    def test_allow_breaking_publishes_and_lists_the_breaking_changes(
        self,
        author: Author,
        before: Declared,
        after: Declared,
        changes: Changes,
    ) -> None:
        """The answer has what the refusal would have had."""
        author.publish(variables=before)
        problems = author.refused(variables=after).details
        answer = author.publish(variables=after, allow_breaking=True)
        assert answer["breaking"] == problems
        assert [(change["path"], change["type"]) for change in problems] == changes
        assert answer["is_current"] is True
        assert author.publish(variables=after)["breaking"] == []

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (variables(a="string"), variables(a="any")),
            (variables(a="string"), variables()),
            (variables(a="string"), variables(a={"type": "string", "required": False})),
            (variables(a="string"), variables(a={"type": "string", "default": "x"})),
            (variables(), variables(a={"type": "string", "required": False})),
            (variables(), variables(a={"type": "string", "default": "x"})),
            (variables(a={"default": 1}), variables(a={"default": 2, "example": 3})),
            (variables(a="string", b="date"), variables(b="date", a="string")),
        ],
    )
    @pytest.mark.parametrize("allow", [True, False])
    def test_a_change_that_requires_no_more_is_not_breaking(
        self,
        author: Author,
        before: Declared,
        after: Declared,
        allow: bool,  # noqa: FBT001 - a column of the table
    ) -> None:
        """Wider types, less that must be given."""
        author.publish(variables=before)
        answer = author.publish(variables=after, allow_breaking=allow)
        assert answer["breaking"] == []

    def test_inferred_variables_can_be_breaking_changes(self, author: Author) -> None:
        """A new placeholder is a value that producers do not send yet."""
        author.publish("{{ a }}")
        error = author.refused("{{ a }}{{ b }}")
        assert (error.code, changes_of(error)) == (
            "breaking_change",
            [("variables.b", "now_required")],
        )
        author.publish("{{ a }}{{ b|default('') }}")

    def test_the_first_version_breaks_nobody(self, author: Author) -> None:
        """Nor does the first that is current."""
        assert author.publish(variables=variables(a="string"), activate=False)["breaking"] == []
        assert author.publish(variables=variables(b="date"))["breaking"] == []

    def test_breaking_changes_are_relative_to_the_current_version(
        self, tasks: Tasks, author: Author
    ) -> None:
        """Which need not be the newest."""
        author.publish(variables=variables(a="string"))
        author.publish(variables=variables())
        assert author.refused(variables=variables(a="string")).code == "breaking_change"
        tasks.call("version.activate", {"template_id": author.template, "version": "1"})
        author.publish(variables=variables(a="string"))

    def test_expected_version_is_checked_before_breaking_changes(self, author: Author) -> None:
        """An author who has not seen the current version cannot know what the change breaks."""
        author.publish(variables=variables(a="string"))
        author.publish(variables=variables())
        after = variables(a="string")
        keywords: dict[str, Any] = {"variables": after, "expected_version": "1"}
        assert author.refused(**keywords).code == "version_conflict"
        assert author.refused(**keywords, allow_breaking=True).code == "version_conflict"
        keywords["expected_version"] = "2"
        assert author.refused(**keywords).code == "breaking_change"
        answer = author.publish(**keywords, allow_breaking=True)
        assert (answer["version"], answer["previous_version"]) == ("3", "2")

    def test_an_existing_version_name_is_refused_even_with_allow_breaking(
        self, author: Author
    ) -> None:
        """A version is immutable."""
        author.publish(version="v1")
        error = author.refused("{{ a }}", version="v1", allow_breaking=True)
        assert error.code == "version_exists"
