"""Translations that a new version takes over from the one before."""

from typing import Any

import pytest
from langcodes import standardize_tag, tag_is_valid

from tasks.rendering.limits import Limits
from tests.factories import templates
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
    found = {row["language"]: row["state"] for row in details["languages"][1:]}
    assert found == {row["language"]: row["state"] for row in current["languages"]}
    if "de" in found:
        text = tasks.call("template.get", {"template_id": template, "language": "de"})["text"]
        assert text["state"] == found["de"]
    return found.get("de")


def render(tasks: Tasks, template: str, **keywords: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Render in German."""
    message = {"template_id": template, "variables": {"name": "Ann"}, "language": "de"}
    return tasks.call("render.one", message | keywords)


class TestCarried:
    """What still fits is there in the new version."""

    @pytest.mark.parametrize(
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

    def test_stale_stays_stale_until_it_is_translated_anew(self, tasks: Tasks) -> None:
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

    def test_every_task_tells_the_state(self, tasks: Tasks) -> None:
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
    """What does not fit is told, and looked for in vain."""

    @pytest.mark.parametrize(
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
        assert publish(tasks, template, **changed) == NOTHING | {"dropped": ["de"]}
        assert state(tasks, template) is None
        variables = {"name": {"first": "Ann"} if "allow_breaking" in changed else "Ann"}
        assert render(tasks, template, variables=variables)["language"] == "en"

    def test_placeholders_may_move_between_subject_and_body(self, tasks: Tasks) -> None:
        """What counts is that no value is lost."""
        template = translated(tasks)
        answer = publish(tasks, template, body="Dear reader", subject="Hello {{ name }}")
        assert answer == {"carried": ["de"], "stale": ["de"], "dropped": []}

    @pytest.mark.parametrize(
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
        """With the examples of the new version; the publish does not fail with it."""
        texts = {"de": {"body": german}, "fr": {"body": body}}
        template = templates.published(tasks, body, variables=["x"], translations=texts)
        declared = [{"name": "x", "example": example}]
        answer = publish(tasks, template, body=body, subject=None, variables=declared)
        assert answer == {"carried": ["fr"], "stale": [], "dropped": ["de"]}

    def test_trial_renders_of_carried_translations_use_the_new_types(self, tasks: Tasks) -> None:
        """A change of type that producers are to follow may not suit it."""
        texts = {"de": {"body": "{{ x + 1 }}"}}
        template = templates.published(tasks, "{{ x }}", variables=["x"], translations=texts)
        answer = publish(
            tasks,
            template,
            body="{{ x }}",
            subject=None,
            variables=[{"name": "x", "type": "string"}],
            allow_breaking=True,
        )
        assert answer == NOTHING | {"dropped": ["de"]}

    def test_a_translation_in_the_versions_own_language_is_dropped(self, tasks: Tasks) -> None:
        """The version's text is the only one of its language."""
        template = translated(tasks)
        answer = publish(tasks, template, body="Hallo {{ name }}!", metadata={"language": "de"})
        assert answer == NOTHING | {"dropped": ["de"]}
        assert render(tasks, template)["body"] == "Hallo Ann!"

    def test_there_are_no_more_than_the_limit(self, tasks: Tasks) -> None:
        """Those of the message come first, then the others in order."""
        limit = Limits().translations
        tags = languages(limit + 1)
        template = templates.published(
            tasks, "x", translations={tag: {"body": "x"} for tag in tags[:limit]}
        )
        answer = tasks.call(
            "version.publish",
            {"template_id": template, "body": "x", "translations": {tags[-1]: {"body": "x"}}},
        )["translations"]
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
    found = [f"fr-{one}{two}" for one in letters for two in letters]
    found = [tag for tag in found if tag_is_valid(tag) and standardize_tag(tag) == tag]
    assert len(found) >= count
    return found[:count]
