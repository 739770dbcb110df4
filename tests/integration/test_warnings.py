"""Warnings in the answers of a publish, a translation and a preview; they block nothing."""

from typing import Any

from tests.factories import templates
from tests.support.tasks import Tasks


def warned(answer: dict[str, Any]) -> list[tuple[str, str]]:
    """Return code and path of each warning of an answer."""
    return [(warning["code"], warning["path"]) for warning in answer["warnings"]]


def publish(tasks: Tasks, template: str, body: str, **keywords: Any) -> dict[str, Any]:  # noqa: ANN401 - a message's keywords
    """Publish a version, and return its answer."""
    message = {"template_id": template, "body": body} | keywords
    answer: dict[str, Any] = tasks.call("version.publish", message)
    return answer


def test_a_publish_warns_of_all_its_texts(tasks: Tasks) -> None:
    """Of its own and of translations, with paths of the message; it is published all the same."""
    template = templates.created(tasks, type="email")
    answer = publish(
        tasks,
        template,
        "<html lang='en' dir='ltr'><img src='{{ url }}'></html>",
        subject="Dear {name}",
        text=" ",
        variables=["url", "user.name"],
        translations={"de": {"subject": "Hallo", "body": "<img alt='{{ url }}'>*|NAME|*"}},
    )
    assert warned(answer) == [
        ("unused_variable", "variables[1]"),
        ("foreign_placeholder", "subject"),
        ("missing_alt", "body"),
        ("foreign_placeholder", "translations.de.body"),
        ("empty_text", "text"),
    ]
    assert answer["version"] == "1"
    assert all(warning["remedy"] for warning in answer["warnings"])


def test_a_publish_without_anything_odd_has_no_warnings(tasks: Tasks) -> None:
    """The list is there, and empty."""
    template = templates.created(tasks, type="sms")
    assert publish(tasks, template, "Dear {{ name }}", variables=["name"])["warnings"] == []


def test_a_publish_warns_of_languages_that_are_lost(tasks: Tasks) -> None:
    """The language of the previous text too, and none that was sent or carried over."""
    template = templates.created(tasks, type="sms")
    texts = {language: {"body": language} for language in ("de", "fr")}
    publish(tasks, template, "Hello", metadata={"language": "en"}, translations=texts)
    answer = publish(
        tasks,
        template,
        "Hola",
        metadata={"language": "es"},
        translations={"de": {"body": "Hallo"}},
        carry_translations=False,
    )
    assert warned(answer) == [
        ("lost_language", "translations.en"),
        ("lost_language", "translations.fr"),
    ]


def test_what_a_partial_uses_is_used(tasks: Tasks) -> None:
    """A variable that only a partial asks for is not warned of."""
    footer = templates.published(tasks, "<p>{{ shop }}{{ note | default('') }}</p>", type="partial")
    template = templates.created(tasks, type="email")
    body = f'<p>Hello</p>{{% include "{footer}" %}}'
    answer = publish(tasks, template, body, variables=["shop", "note", "name"])
    assert warned(answer) == [("unused_variable", "variables[2]")]


def test_a_translation_is_warned_of(tasks: Tasks) -> None:
    """With the examples of its version; paths are those of the message."""
    template = templates.created(tasks, type="sms")
    example = {"name": "name", "type": "string", "example": "x" * 60}
    publish(tasks, template, "Dear {{ name }}", variables=[example])
    message = {
        "template_id": template,
        "language_code": "fr",
        "body": "Bonjour {{ name }}, voil\u00e0 l\u2019offre (name) ((name))",
    }
    answer = tasks.call("translation.upsert", message)
    assert warned(answer) == [("foreign_placeholder", "body"), ("sms_character", "body")]
    assert answer["created"] is True


def test_a_preview_is_warned_of_with_the_values_that_it_got(tasks: Tasks) -> None:
    """The size is that of the rendered body."""
    message = {
        "type": "email",
        "body": "<p>{{ text }}</p>",
        "variables_schema": ["text", "other"],
        "variables": {"text": "a" * 110_000, "other": 1},
    }
    answer = tasks.call("render.preview", message)
    assert warned(answer) == [("unused_variable", "variables_schema[1]"), ("large_body", "body")]
    assert "110,007 bytes" in answer["warnings"][1]["message"]
