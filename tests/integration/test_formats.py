"""MJML from the message to the render: stored as it was sent, rendered as HTML."""

from typing import Any

import pytest

from tests.factories import templates
from tests.support.cases import each
from tests.support.producer import RefusedError
from tests.support.tasks import Tasks

PAGE = """<mjml lang="{{{{ language }}}}">\r
<mj-head><mj-style>.big {{ color: red }}</mj-style></mj-head>
<mj-body><mj-section><mj-column>
{}
</mj-column></mj-section></mj-body></mjml>
"""


def page(text: str, *, greeting: str = "Dear") -> str:
    """Return an e-mail with a text in its one column."""
    return PAGE.format(f'<mj-text css-class="big">{greeting} {{{{ name }}}}{text}</mj-text>')


def publish(tasks: Tasks, template: str, **keywords: Any) -> dict[str, Any]:  # noqa: ANN401 - a message's keywords
    """Publish a version in MJML."""
    message = {"template_id": template, "body": page("!"), "format": "mjml"} | keywords
    return tasks.call("version.publish", message)


def rendered(tasks: Tasks, template: str, language: str | None = None) -> dict[str, Any]:
    """Render a template."""
    message = {"template_id": template, "language": language, "variables": {"name": "Ada & Bo"}}
    return tasks.call("render.one", message)


def test_mjml_is_stored_as_sent_and_rendered_as_html(tasks: Tasks) -> None:
    """In every language, given with the version, carried over, or written later."""
    template = templates.created(tasks)
    german = {"body": page("!", greeting="Hallo")}
    publish(tasks, template, translations={"de": german}, inline_css=True)
    second = publish(tasks, template, body=page("?"), inline_css=True)
    assert second["translations"] == {"carried": ["de"], "stale": ["de"], "dropped": []}
    french = {"template_id": template, "language_code": "fr", "body": page("!", greeting="Cher")}
    tasks.call("translation.upsert", french)
    greetings = {
        None: "Dear Ada &amp; Bo?",
        "de": "Hallo Ada &amp; Bo!",
        "fr": "Cher Ada &amp; Bo!",
    }
    for language, greeting in greetings.items():
        answer = rendered(tasks, template, language)
        assert greeting in answer["body"]
        assert "<mj" not in answer["body"]
        assert answer["body"].count("color: red") == 2
        assert answer["text"] == greeting.replace("&amp;", "&")
        assert f'<html lang="{language or "en"}"' in answer["body"]
    (exported,) = tasks.call("template.export", {"template_ids": [template]})["templates"]
    version = exported["version"]
    assert (version["format"], version["body"]) == ("mjml", page("?"))
    assert version["translations"]["de"]["body"] == german["body"]
    assert version["translations"]["fr"]["body"] == french["body"]


def test_translations_in_another_format_are_not_carried(tasks: Tasks) -> None:
    """They would be read as what they are not."""
    template = templates.published(tasks, translations={"de": {"body": "<p>{{ name }}</p>"}})
    with pytest.raises(RefusedError) as caught:
        publish(tasks, template)
    (problem,) = caught.value.details
    assert (caught.value.code, problem["path"]) == ("breaking_change", "translations.de.body")
    assert problem["type"] == "other_format"
    answer = publish(tasks, template, allow_dropped_translations=True)
    assert answer["translations"]["dropped"] == ["de"]


@each(
    ("body", "code", "line", "column"),
    [
        (page("{{ unknown }}"), "placeholder_mismatch", 4, 44),
        (page("{{ name|nothing }}"), "template_syntax", 4, 49),
        (page("{% if name %}"), "template_syntax", 4, None),
        (page("</mj-column>"), "template_syntax", 4, 41),
        (page("<script>{{ name }}</script>"), "template_syntax", 4, 49),
    ],
)
def test_problems_stand_where_the_author_wrote_them(
    tasks: Tasks, body: str, code: str, line: int, column: int | None
) -> None:
    """In the version's own text and in translations, whichever check finds them."""
    template = templates.created(tasks)
    variables = [{"name": "name", "type": "string"}]
    for message, path in (
        ({"body": body}, "body"),
        ({"translations": {"fr": {"body": body}}}, "translations.fr.body"),
    ):
        with pytest.raises(RefusedError) as caught:
            publish(tasks, template, variables=variables, **message)
        problem = next(each for each in caught.value.details if each["path"] == path)
        assert (caught.value.code, problem["line"]) == (code, line)
        assert column is None or problem["column"] == column
        assert problem["snippet"].split("\n")[0] in body


def test_warnings_stand_where_the_author_wrote_them(tasks: Tasks) -> None:
    """At the text, or at the element of an image, which the HTML has more than once."""
    body = page(
        '<a href="http://a.example">a</a> %%code%%{{ name }}</mj-text>\n'
        '<mj-image src="https://a.example/a.png" /><mj-text><a href="http://a.example">a</a>'
    )
    answer = tasks.call("render.preview", {"type": "email", "format": "mjml", "body": body})
    places = [
        (each["code"], body.split("\n")[each["line"] - 1][each["column"] - 1 :][:9])
        for each in answer["warnings"]
    ]
    assert sorted(places) == [
        ("foreign_placeholder", "%%code%%{"),
        ("insecure_link", "http://a."),
        ("insecure_link", "http://a."),
        ("missing_alt", "<mj-image"),
    ]
    assert len({(each["line"], each["column"]) for each in answer["warnings"]}) == len(places)
    assert all("snippet" not in each for each in answer["warnings"])


def test_mjml_is_not_published_as_html(tasks: Tasks) -> None:
    """Readers would be sent it as it stands."""
    template = templates.created(tasks)
    with pytest.raises(RefusedError) as caught:
        publish(tasks, template, body=f"\n{page('a')}", format=None)
    (problem,) = caught.value.details
    assert (problem["type"], problem["line"], problem["column"]) == ("mjml", 2, 1)
    assert "body.mjml" in problem["message"]


@each("kind", ["in_app", "sms", "push", "json", "partial"])
def test_only_emails_are_written_in_mjml(tasks: Tasks, kind: str) -> None:
    """It makes whole pages."""
    with pytest.raises(RefusedError) as caught:
        tasks.call("render.preview", {"type": kind, "format": "mjml", "body": page("")})
    assert (caught.value.code, caught.value.paths) == ("invalid_message", {"format"})
