"""Messages: what does not fit is refused, all of it at once, before anything is done."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import InvalidMessage, Problem, ServiceError, TooLarge
from tasks.messages.base import Message, WriteMessage, parse, text_problems
from tasks.messages.maintenance import Maintain
from tasks.messages.render import RenderOne
from tasks.messages.templates import (
    CreateTemplate,
    DeleteTemplate,
    GetTemplate,
    ListTemplates,
    RestoreTemplate,
    UpdateTemplate,
)
from tasks.messages.translations import DeleteTranslation, UpsertTranslation
from tasks.messages.versions import ActivateVersion, ListVersions, PublishVersion
from tasks.rendering.limits import Limits
from tasks.rendering.outputs import BIDI_CONTROLS
from tests.support.cases import each

QUICK = settings(max_examples=80, deadline=None)
LIMITS = Limits()

LEAST: dict[type[Message], dict[str, Any]] = {
    CreateTemplate: {"template_id": "welcome", "name": "Welcome", "type": "email"},
    UpdateTemplate: {"template_id": "welcome", "name": "Welcome"},
    DeleteTemplate: {"template_id": "welcome"},
    RestoreTemplate: {"template_id": "welcome"},
    GetTemplate: {"template_id": "welcome"},
    ListTemplates: {},
    PublishVersion: {"template_id": "welcome", "body": "Hello"},
    ActivateVersion: {"template_id": "welcome", "version": "1"},
    ListVersions: {"template_id": "welcome"},
    UpsertTranslation: {"template_id": "welcome", "language_code": "de", "body": "Hallo"},
    DeleteTranslation: {"template_id": "welcome", "language_code": "de"},
    RenderOne: {"template_id": "welcome"},
    Maintain: {},
}
"""The fewest keywords of each message."""

EVERY = pytest.mark.parametrize("model", LEAST, ids=lambda model: model.__name__)


def refused(
    model: type[Message], keywords: Mapping[str, Any], limits: Limits = LIMITS
) -> ServiceError:
    """Return the error of a message that does not fit."""
    with pytest.raises(ServiceError) as caught:
        parse(model, keywords, limits)
    return caught.value


def problems_of(model: type[Message], **changed: Any) -> dict[str, Problem]:  # noqa: ANN401 - any JSON value
    """Return the problems of a message, by path, that fits but for ``changed``."""
    return {problem["path"]: problem for problem in refused(model, LEAST[model] | changed).details}


def parsed(model: type[Message], **changed: Any) -> Any:  # noqa: ANN401 - attributes of any message
    """Return a message that fits with ``changed``."""
    return parse(model, LEAST[model] | changed, LIMITS)


@EVERY
def test_the_fewest_keywords_of_the_contract_are_enough(model: type[Message]) -> None:
    """What the contract marks with ``?`` may be left out, and nothing else."""
    parse(model, LEAST[model], LIMITS)
    for keyword in LEAST[model]:
        rest = {name: value for name, value in LEAST[model].items() if name != keyword}
        error = refused(model, rest)
        assert isinstance(error, InvalidMessage)
        assert keyword in json.dumps(error.details)


@EVERY
def test_unknown_keywords_are_refused_by_name(model: type[Message]) -> None:
    """A misspelt keyword is no silent default."""
    error = refused(model, LEAST[model] | {"vresion": "1", "colour": None})
    messages = {problem["path"]: problem["message"] for problem in error.details}
    assert messages.keys() == {"vresion", "colour"}
    assert messages["colour"] == "unknown keyword: remove it, or correct its name"
    if "version" in model.model_fields:
        assert messages["vresion"] == "unknown keyword: write 'version'"


@EVERY
def test_all_problems_come_in_one_answer(model: type[Message]) -> None:
    """Every keyword of a wrong type is named at once."""
    wrong = dict.fromkeys(model.model_fields, object)
    wrong_json = {name: ["wrong"] if name != "variables" else "wrong" for name in wrong}
    wrong_json |= {name: "wrong" for name in ("metadata", "translations") if name in wrong_json}
    paths = {problem["path"].split("[")[0] for problem in refused(model, wrong_json).details}
    assert paths == set(model.model_fields)


@each(
    ("model", "keyword", "value"),
    [
        (CreateTemplate, "is_active", "true"),
        (CreateTemplate, "is_active", 1),
        (CreateTemplate, "name", 5),
        (CreateTemplate, "metadata", []),
        (CreateTemplate, "metadata", '{"a": 1}'),
        (ListTemplates, "limit", "50"),
        (ListTemplates, "limit", 50.0),
        (ListTemplates, "limit", True),
        (PublishVersion, "version", 2),
        (PublishVersion, "activate", "no"),
        (PublishVersion, "variables", {"name": "string"}),
        (PublishVersion, "variables", "name"),
        (RenderOne, "variables", [["name", "Ann"]]),
        (RenderOne, "version", 1.0),
        (Maintain, "dry_run", 1),
    ],
)
def test_types_are_not_converted(model: type[Message], keyword: str, value: object) -> None:
    """``"false"`` is no boolean and ``2`` no version name: a guess would be wrong one day."""
    assert set(problems_of(model, **{keyword: value})) == {keyword}


class TestIds:
    """Template ids, version names, languages and keys."""

    @each("good", ["a", "0", "welcome_email", "a.b-c_d", "a" * 255])
    def test_ids_of_the_contract_are_taken(self, good: str) -> None:
        """``^[a-z0-9][a-z0-9_.-]{0,254}$``."""
        assert parsed(DeleteTemplate, template_id=good).template_id == good

    @each(
        "bad",
        ["", "A", "-a", ".a", "a b", "a\n", "ä", "a/b", "a" * 256, "a'; --", "\u202ea", "a\0"],
    )
    def test_other_ids_are_refused(self, bad: str) -> None:
        """With what was expected, and without the value."""
        problem = problems_of(DeleteTemplate, template_id=bad)["template_id"]
        assert problem["type"] == "template_id"
        assert "255 characters" in problem["message"]

    @each("good", ["1", "2026-01-31", "v1.2.3+b_4", "a" * 50])
    def test_version_names_are_short_and_plain(self, good: str) -> None:
        """Up to 50 characters, as wide as the column."""
        assert parsed(ActivateVersion, version=good).version == good

    @each("bad", ["", " 1", "1\n", "-1", "v 1", "a" * 51, "ä", "1/2", "\u20661"])
    def test_other_version_names_are_refused(self, bad: str) -> None:
        """In each keyword that names a version."""
        assert set(problems_of(ActivateVersion, version=bad, expected_version=bad)) == {
            "version",
            "expected_version",
        }

    def test_languages_become_canonical(self) -> None:
        """Whatever the spelling, one language is one translation."""
        assert parsed(UpsertTranslation, language_code="en_us").language_code == "en-US"
        translations = {"PT_br": {"body": "x"}}
        assert list(parsed(PublishVersion, translations=translations).translations) == ["pt-BR"]
        assert parsed(RenderOne, language="ZH-tw").language == "zh-TW"
        metadata = {"language": "DE", "other": 1}
        assert parsed(PublishVersion, metadata=metadata).metadata == {"language": "de", "other": 1}

    def test_languages_that_are_none_are_refused(self) -> None:
        """In every place a language may stand."""
        assert "language_code" in problems_of(UpsertTranslation, language_code="qq")
        assert "language" in problems_of(RenderOne, language="de-AT-")
        assert "translations.english" in problems_of(
            PublishVersion, translations={"english": {"body": "x"}}
        )
        for language in ("english", 1, None, ["de"]):
            found = problems_of(PublishVersion, metadata={"language": language})
            assert "metadata.language" in found

    def test_two_spellings_of_one_language_are_refused(self) -> None:
        """Else one of the two texts would be lost without a word."""
        twice = {"en-US": {"body": "x"}, "en_us": {"body": "y"}}
        problem = problems_of(PublishVersion, translations=twice)["translations"]
        assert problem["type"] == "same_language"

    @each("bad", ["", "a" * 256, "a\0b"])
    def test_idempotency_keys_fit_the_column(self, bad: str) -> None:
        """1 to 255 characters, and no NUL, which PostgreSQL cannot hold."""
        for model in LEAST:
            if issubclass(model, WriteMessage):
                assert set(problems_of(model, idempotency_key=bad)) == {"idempotency_key"}

    def test_reads_take_no_idempotency_key(self) -> None:
        """They change nothing."""
        assert set(problems_of(RenderOne, idempotency_key="k")) == {"idempotency_key"}


class TestText:
    """Characters that cannot be stored, sent or trusted."""

    @EVERY
    def test_a_lone_surrogate_is_refused_at_its_place(self, model: type[Message]) -> None:
        """Half a character of UTF-16 has no UTF-8 form: PostgreSQL and the broker refuse it."""
        for keyword in model.model_fields:
            error = refused(model, LEAST[model] | {keyword: "a\ud800b"})
            assert isinstance(error, InvalidMessage)
            problems = [(problem["path"], problem["type"]) for problem in error.details]
            assert (keyword, "lone_surrogate") in problems

    def test_a_lone_surrogate_is_found_however_deep(self) -> None:
        """In values and in keys, with the path to it; the answer itself can be sent."""
        variables = {"user": {"tags": ["ok", "\udfff"], "\ud800": 1}}
        error = refused(RenderOne, {"template_id": "a", "variables": variables})
        paths = sorted(problem["path"] for problem in error.details)
        assert paths == ["variables.user", "variables.user.tags[1]"]
        json.dumps(error.args, ensure_ascii=False).encode()

    @each("bad", list(f"\0\n\r\t\x1b\x7f\x85\u2028\u2029{BIDI_CONTROLS}"))
    def test_names_are_one_visible_line(self, bad: str) -> None:
        """No controls and no bidi controls in what people read in lists."""
        found = problems_of(CreateTemplate, name=f"a{bad}b", category=f"a{bad}b")
        assert {path: problem["type"] for path, problem in found.items()} == {
            "name": "one_line",
            "category": "one_line",
        }

    def test_nul_is_refused_where_it_would_be_stored(self) -> None:
        """PostgreSQL's text and jsonb cannot hold U+0000."""
        assert set(problems_of(CreateTemplate, description="\0", metadata={"a": ["\0"]})) == {
            "description",
            "metadata.a[0]",
        }
        assert "metadata" in problems_of(CreateTemplate, metadata={"\0": 1})
        translations = {"de": {"body": "\0", "subject": "\0"}}
        variables = [
            {"name": "a", "default": {"b": "\0"}},
            {"name": "b", "example": ["\0"]},
            {"name": "c", "description": "\0"},
            {"name": "d", "default": {"\0": 1}},
        ]
        found = problems_of(
            PublishVersion,
            body="\0",
            subject="\0",
            translations=translations,
            metadata={"a": "\0"},
            variables=variables,
        )
        assert set(found) == {
            "body",
            "subject",
            "metadata.a",
            "translations.de.body",
            "translations.de.subject",
            "variables[0].default.b",
            "variables[1].example[0]",
            "variables[2].description",
            "variables[3].default",
        }

    def test_text_that_only_talks_of_nul_is_taken(self) -> None:
        """A backslash followed by ``u0000`` is six harmless characters."""
        metadata = {"pattern": "\\u0000"}
        assert parsed(CreateTemplate, metadata=metadata).metadata == metadata

    def test_values_of_a_render_may_hold_anything_that_is_json(self) -> None:
        """They are not stored; what they may not do is the renderer's to see to."""
        variables = {"a": "\0\r\n\u202e", "b": "javascript:alert(1)", "": None, "self": 1}
        assert parsed(RenderOne, variables=variables).variables == variables


class TestLimits:
    """Over a limit is ``too_large``, naming the limit and the size."""

    SMALL = Limits(body_bytes=10, subject_bytes=5, variables_bytes=20, translations=2)

    @each(
        ("model", "keywords", "path", "size", "limit"),
        [
            (PublishVersion, {"body": "ä" * 5 + "a"}, "body", 11, 10),
            (PublishVersion, {"subject": "ä" * 3}, "subject", 6, 5),
            (UpsertTranslation, {"body": "a" * 11}, "body", 11, 10),
            (UpsertTranslation, {"subject": "a" * 6}, "subject", 6, 5),
            (RenderOne, {"variables": {"a": "b" * 13}}, "variables", 21, 20),
            (RenderOne, {"variables": {"a": "ä" * 7}}, "variables", 22, 20),
            (CreateTemplate, {"metadata": {"a": "b" * 20}}, "metadata", 29, 20),
            (
                PublishVersion,
                {"translations": {"de": {"body": "a" * 11}}},
                "translations.de.body",
                11,
                10,
            ),
            (
                PublishVersion,
                {"translations": {tag: {"body": "a"} for tag in ("de", "fr", "it")}},
                "translations",
                3,
                2,
            ),
        ],
    )
    def test_size_and_limit_are_told(
        self, model: type[Message], keywords: dict[str, Any], path: str, size: int, limit: int
    ) -> None:
        """Bytes of UTF-8, or of JSON."""
        error = refused(model, LEAST[model] | keywords, self.SMALL)
        assert isinstance(error, TooLarge)
        (problem,) = error.details
        assert problem["path"] == path
        assert str(size) in problem["message"]
        assert str(limit) in problem["message"]

    @each(
        ("model", "keywords"),
        [
            (PublishVersion, {"body": "ä" * 5, "subject": "a" * 5}),
            (RenderOne, {"variables": {"a": "b" * 12}}),
            (PublishVersion, {"translations": {"de": {"body": "a"}, "fr": {"body": "a"}}}),
        ],
    )
    def test_the_limit_itself_is_allowed(
        self, model: type[Message], keywords: dict[str, Any]
    ) -> None:
        """At most means at most."""
        parse(model, LEAST[model] | keywords, self.SMALL)

    def test_defaults_are_those_of_the_contract(self) -> None:
        """256 KiB, 2 KiB, 256 KiB, 2 MiB, 1 MiB, 200, 1 s, 256 MiB."""
        assert (LIMITS.body_bytes, LIMITS.subject_bytes) == (262_144, 2_048)
        assert (LIMITS.variables_bytes, LIMITS.output_bytes) == (262_144, 2_097_152)
        assert (LIMITS.message_bytes, LIMITS.translations) == (1_048_576, 200)
        assert (LIMITS.render_seconds, LIMITS.render_memory_bytes) == (1.0, 268_435_456)

    def test_a_shape_that_is_wrong_too_makes_it_an_invalid_message(self) -> None:
        """Still with every problem, the sizes among them."""
        error = refused(PublishVersion, {"body": "a" * 11, "subject": 1, "x": 1}, self.SMALL)
        assert isinstance(error, InvalidMessage)
        assert {problem["path"] for problem in error.details} == {
            "template_id",
            "body",
            "subject",
            "x",
        }

    def test_depth_is_bounded(self) -> None:
        """As deep as allowed is taken; deeper is refused without recursion, 100,000 levels too."""

        def deep(levels: int) -> dict[str, Any]:
            value: dict[str, Any] = {}
            for _ in range(levels - 1):
                value = {"a": value}
            return value

        assert parsed(RenderOne, variables=deep(LIMITS.depth))
        for levels in (LIMITS.depth + 1, 100_000):
            (problem,) = problems_of(RenderOne, variables=deep(levels)).values()
            assert problem["type"] == "too_deep"
            assert str(LIMITS.depth) in problem["message"]

    @each("limit", [0, -1, 201, 10**30])
    def test_a_page_has_1_to_200_templates(self, limit: int) -> None:
        """The contract's bound."""
        assert set(problems_of(ListTemplates, limit=limit)) == {"limit"}
        assert parsed(ListTemplates, limit=200).limit == 200

    def test_columns_are_not_overrun(self) -> None:
        """255 characters of name, 100 of category."""
        assert parsed(CreateTemplate, name="ä" * 255, category="ä" * 100)
        assert set(problems_of(CreateTemplate, name="a" * 256, category="a" * 101)) == {
            "name",
            "category",
        }
        assert set(problems_of(CreateTemplate, name="", category="")) == {"name", "category"}


class TestVariables:
    """The variables that a publish declares."""

    def test_a_name_alone_declares_a_required_variable_of_any_type(self) -> None:
        """The short form of the contract."""
        (variable,) = parsed(PublishVersion, variables=["user.name"]).variables
        assert variable.stored() == {"name": "user.name", "type": "any", "required": True}

    @each(
        "bad",
        [
            "",
            "a b",
            "a.",
            ".a",
            "a..b",
            "1a",
            "a-b",
            "ä",
            "a[0]",
            "a\n",
            "loop",
            "self.x",
            "true",
            "none",
            "a" * 256,
        ],
    )
    def test_a_name_is_a_path_of_the_template_language(self, bad: str) -> None:
        """Every other name could never be used by a source."""
        assert set(problems_of(PublishVersion, variables=["good", bad])) == {"variables[1]"} or (
            set(problems_of(PublishVersion, variables=["good", bad])) == {"variables[1].name"}
        )

    def test_a_name_declared_twice_is_refused(self) -> None:
        """The second would win without a word."""
        problem = problems_of(PublishVersion, variables=["a", "b", {"name": "a"}])["variables"]
        assert problem["type"] == "declared_twice"
        assert problem["message"].endswith(" a")

    def test_every_wrong_part_is_told_with_its_path(self) -> None:
        """Index and field."""
        variables = [{"type": "string"}, {"name": "a", "type": "text"}, {"name": "b", "x": 1}, 5]
        assert set(problems_of(PublishVersion, variables=variables)) == {
            "variables[0].name",
            "variables[1].type",
            "variables[2].x",
            "variables[3]",
        }

    def test_no_variables_are_not_the_same_as_variables_left_out(self) -> None:
        """An empty list declares that there are none; left out means: infer them."""
        assert parsed(PublishVersion, variables=[]).variables == []
        assert parsed(PublishVersion).variables is None


class TestUpdate:
    """``template.update`` changes only what is named."""

    def test_nothing_to_change_is_refused(self) -> None:
        """A missing keyword is refused."""
        error = refused(UpdateTemplate, {"template_id": "a"})
        assert [problem["type"] for problem in error.details] == ["nothing_to_change"]

    @each("keyword", ["name", "is_active"])
    def test_required_fields_cannot_be_set_to_null(self, keyword: str) -> None:
        """Null is no name."""
        error = refused(UpdateTemplate, {"template_id": "a", keyword: None})
        assert [problem["type"] for problem in error.details] == ["not_null"]
        assert keyword in error.details[0]["message"]

    @each("keyword", ["description", "category"])
    def test_optional_fields_can_be_set_to_null(self, keyword: str) -> None:
        """Null differs from an omitted keyword."""
        message = parse(UpdateTemplate, {"template_id": "a", keyword: None}, LIMITS)
        assert keyword in message.model_fields_set


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=10,
)
ANY_MODEL = st.sampled_from(sorted(LEAST, key=lambda model: model.__name__))


@QUICK
@given(ANY_MODEL, st.data())
def test_any_json_is_taken_or_refused_with_a_code(
    model: type[Message], data: st.DataObject
) -> None:
    """No JSON value in any keyword makes anything but a refusal of the contract."""
    names = st.sampled_from([*model.model_fields, "other"])
    keywords = LEAST[model] | data.draw(st.dictionaries(names, JSON, max_size=3))
    try:
        message = parse(model, keywords, LIMITS)
    except ServiceError as error:
        problems = error.details
        assert problems
        assert all(problem["message"] for problem in problems)
        json.dumps(error.args, allow_nan=False, ensure_ascii=False).encode()
    else:
        again = message.model_dump(mode="json", exclude_unset=True)
        assert parse(model, again, LIMITS) == message


@QUICK
@given(st.text(min_size=4, max_size=12).filter(str.isalnum), ANY_MODEL)
def test_refusals_never_hold_values(secret: str, model: type[Message]) -> None:
    """Error texts are logged; they name paths and what was expected."""
    secret = f"sekret{secret}"
    for keyword in model.model_fields:
        wrong: Any = [secret] if keyword != "variables" else secret
        reported = json.dumps(
            refused(model, LEAST[model] | {keyword: wrong}).args, ensure_ascii=False
        )
        assert secret not in reported


@QUICK
@given(JSON)
def test_whatever_passes_can_be_written_as_json_in_utf8(value: object) -> None:
    """:func:`text_problems` finds all that JSON or UTF-8 cannot carry, and nothing else."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, UnicodeEncodeError):
        assert list(text_problems(value, "", LIMITS.depth))
    else:
        assert not list(text_problems(value, "", LIMITS.depth))


@each("value", [(1,), b"a", {1, 2}, object(), {"a": {"b": 1 + 2j}}])
def test_values_that_are_no_json_are_refused(value: object) -> None:
    """A caller in this process could pass more than a broker can carry."""
    problems = list(text_problems(value, "x", LIMITS.depth))
    assert [problem["type"] for problem in problems] == ["not_json"]


def test_paths_are_written_as_a_reader_of_json_would() -> None:
    """Names joined by dots, indexes in brackets."""
    value = {"items": [{"key": 1}, {"key": float("nan")}]}
    assert [problem["path"] for problem in text_problems(value, "", LIMITS.depth)] == [
        "items[1].key"
    ]


def test_problems_come_in_the_order_of_the_message() -> None:
    """A person reads them beside the message."""
    value = {"a": "\ud800", "b": ["\ud800", {"c": "\ud800"}], "d": "\ud800"}
    assert [problem["path"] for problem in text_problems(value, "", LIMITS.depth)] == [
        "a",
        "b[0]",
        "b[1].c",
        "d",
    ]


def test_text_that_cannot_be_stored_hides_no_other_problem() -> None:
    """All problems of a message come in one answer, whichever check finds them."""
    keywords = {"template_id": "A", "body": "\ud800", "version": "", "colour": 1}
    paths = [problem["path"] for problem in refused(PublishVersion, keywords).details]
    assert paths == ["body", "template_id", "version", "colour"]
    only = refused(UpdateTemplate, {"template_id": "a", "name": "\ud800"})
    assert [problem["path"] for problem in only.details] == ["name"]
    key = refused(RenderOne, {"\ud800": 1, "language": "qq"})
    assert {problem["path"] for problem in key.details} == {"", "template_id", "language"}


@each(
    ("kind", "written"),
    [
        *(("list", "array"), ("dict", "object"), ("Map", "object"), ("str", "string")),
        *(("float", "number"), ("int", "integer"), ("bool", "boolean"), ("Array", "array")),
        *(("list_type", "array"), ("timestamp", "datetime"), ("html", "markdown")),
    ],
)
def test_types_of_other_languages_are_named_as_they_are_here(kind: str, written: str) -> None:
    """Of a variable that is declared."""
    variables = [{"name": "x", "type": kind}]
    keywords = {"template_id": "a", "body": "x", "variables": variables}
    with pytest.raises(InvalidMessage) as caught:
        parse(PublishVersion, keywords, Limits())
    (problem,) = caught.value.details
    assert problem["path"] == "variables[0].type"
    assert problem["message"].endswith(f"write '{written}'")


def test_a_problem_of_a_type_is_named_in_the_terms_of_json() -> None:
    """Not in Python's: producers use any language."""
    given_ = {"template_id": 1, "variables": [], "language": True, "fallback": {}}
    with pytest.raises(InvalidMessage) as caught:
        parse(RenderOne, given_, Limits())
    kinds = {problem["path"]: problem["type"] for problem in caught.value.details}
    assert kinds["variables"] == "object"
    assert kinds["template_id"] == kinds["language"] == "string"
