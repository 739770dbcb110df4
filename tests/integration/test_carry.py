"""Translations that a new version takes over from the one before."""

from typing import Any

import pytest
from langcodes import standardize_tag, tag_is_valid

from tasks.rendering.limits import Limits
from tests.factories import templates
from tests.support.cases import each
from tests.support.producer import RefusedError
from tests.support.tasks import Tasks

NOTHING: dict[str, list[str]] = {"carried": [], "stale": [], "dropped": []}


def translated(tasks: Tasks, **keywords: Any) -> str:  # noqa: ANN401 - a message's keywords
    """Publish a version in English and German and return its template."""
    message = {
        "body": "Dear {{ name }}",
        "subject": "Hello",
        "translations": {"de": {"body": "Hallo {{ name }}"}},
    }
    return templates.published(tasks, **(message | keywords))


def publish(tasks: Tasks, template: str, **keywords: Any) -> dict[str, list[str]]:  # noqa: ANN401 - a message's keywords
    """Publish a version like the first, but for ``keywords``; return what became of languages."""
    message = {"template_id": template, "body": "Dear {{ name }}", "subject": "Hello"}
    answer: dict[str, list[str]] = tasks.call("version.publish", message | keywords)["translations"]
    return answer


def drops(tasks: Tasks, template: str, **keywords: Any) -> dict[str, list[str]]:  # noqa: ANN401 - a message's keywords
    """Publish as :func:`publish` does, which is refused unless translations may be dropped."""
    before = versions_of(tasks, template)
    with pytest.raises(RefusedError) as caught:
        publish(tasks, template, **keywords)
    assert caught.value.code == "breaking_change"
    assert "allow_dropped_translations" in caught.value.message
    assert versions_of(tasks, template) == before
    answer = publish(tasks, template, allow_dropped_translations=True, **keywords)
    for language in answer["dropped"]:
        assert language in caught.value.message
        assert any(
            problem["path"].startswith(f"translations.{language}")
            for problem in caught.value.details
        )
    return answer


def versions_of(tasks: Tasks, template: str) -> list[str]:
    """Return the names of a template's versions."""
    return [version["version"] for version in templates.versions(tasks, template)]


def upsert(tasks: Tasks, template: str, **keywords: Any) -> None:  # noqa: ANN401 - a message's keywords
    """Write German."""
    message = {"template_id": template, "language_code": "de", "body": "Hallo {{ name }}"}
    tasks.call("translation.upsert", message | keywords)


def state(tasks: Tasks, template: str) -> str | None:
    """Return the state of German in the current version, as every task that tells it does."""
    details = tasks.call("template.get", {"template_id": template})
    (current,) = (
        version for version in templates.versions(tasks, template) if version["is_current"]
    )
    states = {row["language"]: row["state"] for row in details["languages"][1:]}
    assert states == {row["language"]: row["state"] for row in current["languages"]}
    if "de" in states:
        text = tasks.call("template.get", {"template_id": template, "language": "de"})["text"]
        assert text["state"] == states["de"]
    return states.get("de")


def render(tasks: Tasks, template: str, **keywords: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Render in German."""
    message = {"template_id": template, "variables": {"name": "Ann"}, "language": "de"}
    return tasks.call("render.one", message | keywords)


class TestCarried:
    """What still fits is there in the new version."""

    @each(
        ("changed", "is_stale"),
        [
            ({}, False),
            ({"body": "Good day {{ name }}"}, True),
            ({"body": "Dear {{ name }} "}, True),
            ({"subject": "Good day"}, True),
            ({"subject": None}, True),
            ({"subject": ""}, True),
            ({"body": "Good day {{ name }}", "subject": "Good day"}, True),
            ({"variables": [{"name": "name", "type": "any", "example": "Ann"}]}, False),
            ({"variables": ["name", {"name": "more", "required": False}]}, False),
            ({"metadata": {"owner": "marketing"}}, False),
            ({"metadata": {"language": "en-GB"}}, False),
            ({"version": "spring"}, False),
        ],
    )
    def test_a_carried_translation_is_stale_only_if_the_source_text_changed(
        self,
        tasks: Tasks,
        changed: dict[str, Any],
        is_stale: bool,  # noqa: FBT001 - a column of the table
    ) -> None:
        """Variables and metadata are not what a translator reads."""
        template = translated(tasks)
        stale = ["de"] if is_stale else []
        assert publish(tasks, template, **changed) == {
            "carried": ["de"],
            "stale": stale,
            "dropped": [],
        }
        assert state(tasks, template) == ("stale" if is_stale else "current")

    def test_a_carried_translation_renders(self, tasks: Tasks) -> None:
        """With the subject of its own, or that of the new version."""
        template = translated(
            tasks,
            translations={
                "de": {"body": "Hallo {{ name }}"},
                "fr": {"body": "Cher {{ name }}", "subject": "Bonjour"},
            },
        )
        carried = publish(tasks, template, body="Good day {{ name }}", subject="Good day")
        assert carried == {"carried": ["de", "fr"], "stale": ["de", "fr"], "dropped": []}
        german, french = render(tasks, template), render(tasks, template, language="fr")
        assert (german["version"], german["subject"], german["body"]) == (
            "2",
            "Good day",
            "Hallo Ann",
        )
        assert (french["subject"], french["body"]) == ("Bonjour", "Cher Ann")
        assert german["language_reason"] == "exact"

    def test_the_previous_version_keeps_its_translations(self, tasks: Tasks) -> None:
        """A translation belongs to one version."""
        template = translated(tasks)
        publish(tasks, template, body="Good day {{ name }}")
        upsert(tasks, template, body="Guten Tag {{ name }}")
        assert render(tasks, template)["body"] == "Guten Tag Ann"
        assert render(tasks, template, version="1")["body"] == "Hallo Ann"
        tasks.call("translation.delete", {"template_id": template, "language_code": "de"})
        assert render(tasks, template, version="1")["language"] == "de"
        assert render(tasks, template)["language"] == "en"

    def test_a_stale_translation_stays_stale_until_it_is_translated_again(
        self, tasks: Tasks
    ) -> None:
        """However many versions come, and whether or not they change the text."""
        template = translated(tasks)
        changed = "Good day {{ name }}"
        assert publish(tasks, template, body=changed)["stale"] == ["de"]
        for _ in range(3):
            assert publish(tasks, template, body=changed)["stale"] == ["de"]
            assert state(tasks, template) == "stale"
        assert publish(tasks, template)["stale"] == ["de"], "nor does the old text cure it"
        upsert(tasks, template)
        assert state(tasks, template) == "current"
        assert publish(tasks, template) == {"carried": ["de"], "stale": [], "dropped": []}
        assert state(tasks, template) == "current"

    def test_every_task_reports_whether_a_translation_is_stale(self, tasks: Tasks) -> None:
        """Also of versions that are not current, and in a comparison."""
        template = translated(tasks)
        publish(tasks, template, body="Good day {{ name }}")
        listed = templates.versions(tasks, template)
        assert [version["languages"] for version in listed] == [
            [{"language": "de", "state": "stale"}],
            [{"language": "de", "state": "current"}],
        ]
        compare = {"template_id": template, "from_version": "1", "to_version": "2"}
        languages = tasks.call("version.diff", compare)["languages"]
        assert languages["changed"] == []
        assert languages["unchanged"] == [
            {"language": "de", "state": {"from": "current", "to": "stale"}}
        ]
        first = tasks.call("template.get", {"template_id": template, "version": "1"})
        assert first["languages"][1:] == [{"language": "de", "state": "current"}]

    def test_translations_are_carried_from_the_current_version(self, tasks: Tasks) -> None:
        """Which need not be the newest."""
        template = translated(tasks)
        publish(tasks, template, translations={"fr": {"body": "Cher {{ name }}"}})
        tasks.call("version.activate", {"template_id": template, "version": "1"})
        assert publish(tasks, template)["carried"] == ["de"]

    def test_translations_are_carried_to_a_version_that_is_not_activated(
        self, tasks: Tasks
    ) -> None:
        """It is there when that is activated."""
        template = translated(tasks)
        assert publish(tasks, template, activate=False)["carried"] == ["de"]
        tasks.call("version.activate", {"template_id": template, "version": "2"})
        assert render(tasks, template)["body"] == "Hallo Ann"

    def test_a_first_version_has_nothing_to_carry(self, tasks: Tasks) -> None:
        """Nor has one after a version that was never current."""
        template = templates.created(tasks)
        texts = {"de": {"body": "Hallo {{ name }}"}}
        assert publish(tasks, template, activate=False, translations=texts) == NOTHING
        assert publish(tasks, template) == NOTHING


class TestGiven:
    """Translations in the message."""

    def test_translations_of_the_message_replace_carried_ones(self, tasks: Tasks) -> None:
        """And are current, whatever the old ones were."""
        template = translated(tasks, translations={"de": {"body": "Hallo {{ name }}"}})
        upsert(tasks, template, language_code="fr", body="Cher {{ name }}")
        publish(tasks, template, body="Good day {{ name }}")
        answer = publish(
            tasks,
            template,
            body="Good day {{ name }}",
            translations={"DE": {"body": "Guten Tag {{ name }}"}},
        )
        assert answer == {"carried": ["fr"], "stale": ["fr"], "dropped": []}
        assert state(tasks, template) == "current"
        assert render(tasks, template)["body"] == "Guten Tag Ann"

    def test_without_carrying_only_the_messages_translations_are_stored(self, tasks: Tasks) -> None:
        """``carry_translations`` false starts anew."""
        template = translated(tasks)
        upsert(tasks, template, language_code="fr", body="Cher {{ name }}")
        given = {"de": {"body": "Guten Tag {{ name }}"}}
        answer = publish(tasks, template, carry_translations=False, translations=given)
        assert answer == {"carried": [], "stale": [], "dropped": ["fr"]}
        assert state(tasks, template) == "current"
        answer = publish(tasks, template, carry_translations=False)
        assert answer == {"carried": [], "stale": [], "dropped": ["de"]}
        assert state(tasks, template) is None


class TestDropped:
    """Mismatching translations are refused with the languages and why, unless allowed."""

    @each(
        "changed",
        [
            {"body": "Dear {{ name }} {{ more|default('') }}"},
            {"body": "Dear all"},
            {"body": "Dear {{ name.first }}", "allow_breaking": True},
            {"subject": "Hello {{ name }} {{ nick|default('') }}"},
        ],
    )
    def test_a_translation_with_other_placeholders_is_dropped(
        self, tasks: Tasks, changed: dict[str, Any]
    ) -> None:
        """Neither more nor fewer, those of a subject of its own among them."""
        texts = {"de": {"body": "Hallo {{ name }}", "subject": "Hallo"}}
        template = translated(tasks, translations=texts)
        assert drops(tasks, template, **changed) == NOTHING | {"dropped": ["de"]}
        assert state(tasks, template) is None
        variables = {"name": {"first": "Ann"} if "allow_breaking" in changed else "Ann"}
        assert render(tasks, template, variables=variables)["language"] == "en"

    def test_placeholders_may_move_between_subject_and_body(self, tasks: Tasks) -> None:
        """What counts is that no value is lost."""
        template = translated(tasks)
        answer = publish(tasks, template, body="Dear reader", subject="Hello {{ name }}")
        assert answer == {"carried": ["de"], "stale": ["de"], "dropped": []}

    @each(
        ("body", "german", "example"),
        [
            ("{{ x }}", "{{ x + 1 }}", "Ann"),
            ("{{ x }}", "{{ x|currency('EUR') }}", "Ann"),
            ("{{ x.a|default('') }}", "{{ x.a }}", {"b": 1}),
            ("{{ x }}", "{{ 'a' * x }}", 3_000_000),
            ("{{ x }}", "{{ [1] * x }}", 100_000_000),
        ],
    )
    def test_a_translation_that_fails_its_trial_render_is_dropped(
        self, tasks: Tasks, body: str, german: str, example: object
    ) -> None:
        """With the examples of the new version."""
        texts = {"de": {"body": german}, "fr": {"body": body}}
        template = templates.published(tasks, body, variables=["x"], translations=texts)
        declared = [{"name": "x", "example": example}]
        answer = drops(tasks, template, body=body, subject=None, variables=declared)
        assert answer == {"carried": ["fr"], "stale": [], "dropped": ["de"]}

    def test_trial_renders_of_carried_translations_use_the_new_types(self, tasks: Tasks) -> None:
        """A change of type that producers are to follow may not suit it."""
        texts = {"de": {"body": "{{ x + 1 }}"}}
        template = templates.published(tasks, "{{ x }}", variables=["x"], translations=texts)
        answer = drops(
            tasks,
            template,
            body="{{ x }}",
            subject=None,
            variables=[{"name": "x", "type": "string"}],
            allow_breaking=True,
        )
        assert answer == NOTHING | {"dropped": ["de"]}

    @each("own", ["de", "DE"])
    def test_a_version_in_the_language_of_a_translation_is_refused(
        self, tasks: Tasks, own: str
    ) -> None:
        """There would be two texts for one language; with leave, the new one is the only one."""
        template = translated(tasks)
        changed: dict[str, Any] = {"body": "Hallo {{ name }}!", "metadata": {"language": own}}
        with pytest.raises(RefusedError) as caught:
            publish(tasks, template, **changed)
        (problem,) = caught.value.details
        assert (problem["path"], problem["type"]) == ("metadata.language", "own_language")
        assert "translation.delete" in problem["message"]
        answer = publish(tasks, template, allow_dropped_translations=True, **changed)
        assert answer == NOTHING | {"dropped": ["de"]}
        assert render(tasks, template)["body"] == "Hallo Ann!"

    def test_a_deleted_translation_stands_in_nobodys_way(self, tasks: Tasks) -> None:
        """As the refusal says."""
        template = translated(tasks)
        tasks.call("translation.delete", {"template_id": template, "language_code": "de"})
        publish(tasks, template, metadata={"language": "de"})
        assert publish(tasks, template, metadata={"language": "de"}) == NOTHING

    def test_a_stale_text_is_reported_by_each_render(self, tasks: Tasks) -> None:
        """Whether it was asked for by name or is the closest; the version's own is never stale."""
        template = translated(tasks)
        assert render(tasks, template)["stale"] is False
        publish(tasks, template, body="Good day {{ name }}")
        assert render(tasks, template)["stale"] is True
        assert render(tasks, template, language="de-AT")["stale"] is True
        assert render(tasks, template, language="en")["stale"] is False
        assert render(tasks, template, version="1")["stale"] is False
        message = {
            "template_id": template,
            "variables": {"name": "Ann"},
            "items": [{"key": 1, "language": "de"}, {"key": 2, "language": "en"}],
        }
        items = tasks.call("render.batch", message)["items"]
        assert [item["stale"] for item in items] == [True, False]
        upsert(tasks, template)
        assert render(tasks, template)["stale"] is False

    def test_only_what_does_not_fit_is_named(self, tasks: Tasks) -> None:
        """Each with its language and what is lost or added."""
        texts = {
            "de": {"body": "Hallo {{ name }}"},
            "fr": {"body": "Cher {{ name }}"},
        }
        template = translated(tasks, translations=texts)
        with pytest.raises(RefusedError) as caught:
            publish(
                tasks,
                template,
                body="Dear {{ name }} of {{ team|default('') }}",
                translations={"fr": {"body": "Cher {{ name }} {{ team|default('') }}"}},
            )
        (problem,) = caught.value.details
        assert problem["path"] == "translations.de.body"
        assert problem["type"] == "lost"
        assert "'team'" in problem["message"]

    def test_carried_translations_are_limited_in_number(self, tasks: Tasks) -> None:
        """Those of the message come first, then the others in order."""
        limit = Limits().translations
        tags = languages(limit + 1)
        template = templates.published(
            tasks, "x", translations={tag: {"body": "x"} for tag in tags[:limit]}
        )
        answer = drops(
            tasks, template, body="x", subject=None, translations={tags[-1]: {"body": "x"}}
        )
        assert answer == {"carried": tags[: limit - 1], "stale": [], "dropped": [tags[limit - 1]]}

    def test_a_refused_publish_carries_nothing(self, tasks: Tasks) -> None:
        """The translations of the current version stay as they are."""
        template = translated(tasks)
        with pytest.raises(RefusedError):
            publish(tasks, template, body="{{ name }}{{ new }}")
        assert state(tasks, template) == "current"
        assert len(templates.versions(tasks, template)) == 1


def languages(count: int) -> list[str]:
    """Return that many language tags that can be stored, in order."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    tags = [f"fr-{one}{two}" for one in letters for two in letters]
    tags = [tag for tag in tags if tag_is_valid(tag) and standardize_tag(tag) == tag]
    assert len(tags) >= count
    return tags[:count]
