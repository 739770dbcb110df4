"""``translation.*``: one language of a version, written and removed."""

from typing import Any

import pytest

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


@pytest.fixture
def template(tasks: Tasks) -> str:
    """Give a template of one version with a subject."""
    return templates.published(tasks, "Dear {{ name }}", subject="Hello {{ name }}", type="push")


def upsert(tasks: Tasks, template: str, **keywords: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Write German."""
    message = {"template_id": template, "language_code": "de", "body": "Hallo {{ name }}"}
    return tasks.call("translation.upsert", message | keywords)


def refused(tasks: Tasks, template: str, **keywords: Any) -> RefusedError:  # noqa: ANN401 - any JSON value
    """Return the refusal of an upsert."""
    with pytest.raises(RefusedError) as caught:
        upsert(tasks, template, **keywords)
    return caught.value


def render(tasks: Tasks, template: str, **keywords: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Render in German."""
    message = {"template_id": template, "variables": {"name": "Ann"}, "language": "de"}
    return tasks.call("render.one", message | keywords)


def test_a_second_upsert_replaces_the_first(tasks: Tasks, rows: Rows, template: str) -> None:
    """The answer tells which, and the next render has it."""
    first = upsert(tasks, template, subject="Hallo")
    assert first["created"] is True
    assert first["translation"]["state"] == "current"
    assert first["translation"]["language_code"] == "de"
    assert render(tasks, template)["body"] == "Hallo Ann"
    second = upsert(tasks, template, body="Guten Tag {{ name }}")
    assert second["created"] is False
    assert second["translation"]["created_at"] == first["translation"]["created_at"]
    assert second["translation"]["updated_at"] > first["translation"]["updated_at"]
    assert second["translation"]["subject"] is None, "an upsert writes the whole translation"
    assert render(tasks, template)["body"] == "Guten Tag Ann"
    assert rows.counts(template) == (1, 1, 1, 1)


def test_one_language_is_one_translation_whatever_its_spelling(
    tasks: Tasks, rows: Rows, template: str
) -> None:
    """``pt_br`` and ``pt-BR`` are the same."""
    assert upsert(tasks, template, language_code="pt_br")["created"] is True
    answer = upsert(tasks, template, language_code="PT-BR")
    assert answer["created"] is False
    assert answer["translation"]["language_code"] == "pt-BR"
    assert rows.counts(template)[2] == 1


def test_a_translation_without_a_subject_uses_the_versions(tasks: Tasks, template: str) -> None:
    """A null subject falls back; an empty one is a subject."""
    upsert(tasks, template)
    assert render(tasks, template)["subject"] == "Hello Ann"
    upsert(tasks, template, subject="Hallo {{ name }}")
    assert render(tasks, template)["subject"] == "Hallo Ann"
    upsert(tasks, template, subject="")
    assert render(tasks, template)["subject"] == ""


def test_a_translation_of_an_older_version_can_be_written(tasks: Tasks, template: str) -> None:
    """Else it is the current one; the other versions stay as they are."""
    tasks.call("version.publish", {"template_id": template, "body": "Two {{ name }}"})
    answer = upsert(tasks, template, version="1")
    assert answer["translation"]["version"] == "1"
    assert render(tasks, template)["body"] == "Two Ann"
    assert render(tasks, template, version="1")["body"] == "Hallo Ann"
    assert upsert(tasks, template)["translation"]["version"] == "2"


@each(
    ("own", "written"),
    [(None, "en"), (None, "EN"), ("de", "de"), ("en_us", "en-US"), ("en-US", "en_us")],
)
def test_the_versions_own_language_is_no_translation(
    tasks: Tasks, own: str | None, written: str
) -> None:
    """There would be two texts for one language; the refusal says what to do instead."""
    metadata = {} if own is None else {"language": own}
    template = templates.published(tasks, metadata=metadata)
    with pytest.raises(RefusedError) as caught:
        upsert(tasks, template, language_code=written)
    assert caught.value.code == "invalid_message"
    (problem,) = caught.value.details
    assert (problem["path"], problem["type"]) == ("language_code", "own_language")
    assert "version.publish" in problem["message"]
    texts = {written: {"body": "Dear {{ name }}"}}
    message = {"template_id": template, "body": "Dear {{ name }}", "metadata": metadata}
    with pytest.raises(RefusedError) as caught:
        tasks.call("version.publish", message | {"translations": texts})
    (problem,) = caught.value.details
    assert problem["path"].startswith("translations.")
    assert problem["type"] == "own_language"
    assert "metadata.language" in problem["message"]


def test_another_region_of_the_own_language_is_a_translation(tasks: Tasks, template: str) -> None:
    """British English may have words of its own."""
    upsert(tasks, template, language_code="en-GB", body="Dear {{ name }}, cheers")


@pytest.mark.parametrize(
    ("changed", "code", "paths"),
    [
        ({"version": "9"}, "version_not_found", {"version"}),
        ({"body": "{% if %}", "subject": "{{ }}"}, "template_syntax", {"body", "subject"}),
        ({"body": "{{ name }}{{ nmae }}"}, "placeholder_mismatch", {"body"}),
        ({"body": "{{ x }}", "subject": "{{ y }}"}, "placeholder_mismatch", {"body", "subject"}),
        ({"body": "{{ name|safe }}"}, "template_syntax", {"body"}),
        ({"body": "{{ 'a' * 3000000 }}"}, "render_limit_exceeded", {"body"}),
        ({"language_code": "qq"}, "invalid_message", {"language_code"}),
        ({"language_code": "ca-ES-valencia"}, "invalid_message", {"language_code"}),
        ({"body": ""}, "invalid_message", {"body"}),
        ({"body": "a" * 262_145}, "too_large", {"body"}),
    ],
)
def test_a_refused_upsert_keeps_the_stored_text(  # noqa: PLR0913, PLR0917 - two fixtures, four parts of a case
    tasks: Tasks,
    rows: Rows,
    template: str,
    changed: dict[str, Any],
    code: str,
    paths: set[str],
) -> None:
    """A translation passes the same gate as a version."""
    upsert(tasks, template)
    before = rows.counts(template)
    error = refused(tasks, template, **changed)
    assert (error.code, error.paths) == (code, paths)
    assert rows.counts(template) == before
    assert render(tasks, template)["body"] == "Hallo Ann"


def test_a_template_without_a_version_has_nothing_to_translate(tasks: Tasks) -> None:
    """The answer says what to do first."""
    error = refused(tasks, templates.created(tasks))
    assert error.code == "version_not_found"
    assert "version.publish" in error.details[0]["message"]


def test_a_deleted_translation_is_gone_at_once(tasks: Tasks, rows: Rows, template: str) -> None:
    """The next render falls back, and a second delete finds none."""
    upsert(tasks, template)
    upsert(tasks, template, language_code="fr")
    message = {"template_id": template, "language_code": "DE"}
    answer = tasks.call("translation.delete", message)
    assert answer == {"template_id": template, "version": "1", "language_code": "de"}
    assert render(tasks, template)["body"] == "Dear Ann"
    assert rows.counts(template) == (1, 1, 1, 1)
    with pytest.raises(RefusedError) as caught:
        tasks.call("translation.delete", message)
    assert (caught.value.code, caught.value.paths) == ("language_not_found", {"language_code"})
    assert "fr" in caught.value.details[0]["message"]


def test_only_that_language_of_that_version_is_deleted(tasks: Tasks, template: str) -> None:
    """A region's text is not its language's, and another version's is not this one's."""
    upsert(tasks, template)
    tasks.call(
        "version.publish",
        {
            "template_id": template,
            "body": "Two {{ name }}",
            "translations": {
                "de": {"body": "Zwei {{ name }}"},
                "de-AT": {"body": "Zwoa {{ name }}"},
            },
        },
    )
    tasks.call("translation.delete", {"template_id": template, "language_code": "de"})
    assert render(tasks, template, version="1")["body"] == "Hallo Ann"
    assert render(tasks, template, language="de-AT")["body"] == "Zwoa Ann"
    with pytest.raises(RefusedError) as caught:
        tasks.call(
            "translation.delete", {"template_id": template, "language_code": "de", "version": "7"}
        )
    assert caught.value.code == "version_not_found"


LOOP = "{% for i in items %}{{ i.a }}{% endfor %}"


@each(
    ("body", "added"),
    [
        (LOOP, None),
        ("{% for i in items %}{{ i.a }}{{ i.b | default('-') }}{% endfor %}", None),
        ("{% for i in items %}{% if i.b %}{{ i.b }}{% endif %}{% endfor %}", None),
        ("{% for i in items %}{{ i.b }}{% endfor %}", "items[].b"),
        ("{% for i in items %}{% for k in i.ls %}{{ k.x }}{% endfor %}{% endfor %}", "items[].ls"),
    ],
)
def test_a_translation_asks_for_no_other_members_of_items(
    tasks: Tasks, body: str, added: str | None
) -> None:
    """Nobody sends them: each of its readers would be refused."""
    template = templates.published(tasks, LOOP, type="sms")
    if added is None:
        upsert(tasks, template, body=body)
        return
    error = refused(tasks, template, body=body)
    assert (error.code, error.paths) == ("placeholder_mismatch", {"body"})
    assert f"'{added}" in error.details[0]["message"]


def test_a_declared_member_of_items_may_be_used_by_a_translation_alone(tasks: Tasks) -> None:
    """It is checked before each render."""
    names = [{"name": "items", "type": "array"}, "items[].a", "items[].b"]
    template = templates.published(tasks, LOOP, type="sms", variables=names)
    upsert(tasks, template, body="{% for i in items %}{{ i.b }}{% endfor %}")


def test_a_carried_translation_asks_for_no_other_members_of_items(tasks: Tasks) -> None:
    """It is dropped with the reason, or the publish is refused."""
    template = templates.published(tasks, LOOP, type="sms", translations={"de": {"body": LOOP}})
    message = {
        "template_id": template,
        "body": LOOP.replace("i.a", "i.b"),
        "allow_breaking": True,
        "allow_dropped_translations": True,
    }
    assert tasks.call("version.publish", message)["translations"]["dropped"] == ["de"]
