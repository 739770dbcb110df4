"""Own texts, preheaders, inlined styles, JSON and Markdown, from the publish to the render."""

import itertools
from typing import Any

import pytest

from tests.factories import templates
from tests.support.cases import each
from tests.support.producer import RefusedError
from tests.support.tasks import Tasks

STYLED = (
    "<html><head><style>p{color:red}@media (max-width:9px){p{color:blue}}</style></head>"
    "<body><p>Dear {{ name }}</p></body></html>"
)


def refused(tasks: Tasks, task: str, **message: Any) -> RefusedError:  # noqa: ANN401 - a message's keywords
    """Return the error of a message."""
    with pytest.raises(RefusedError) as caught:
        tasks.call(task, message)
    return caught.value


def render(tasks: Tasks, template: str, **keywords: Any) -> dict[str, Any]:  # noqa: ANN401 - a message's keywords
    """Render with a name."""
    message = {"template_id": template, "variables": {"name": "A<B"}}
    return tasks.call("render.one", message | keywords)


class TestOwnText:
    """The text part that the author wrote."""

    def test_it_is_rendered_instead_of_the_derived_one(self, tasks: Tasks) -> None:
        """With its own lines; a translation without one has the text of its own body."""
        template = templates.published(
            tasks,
            text="Dear {{ name }}\n\n  * one\n",
            translations={
                "de": {"body": "<p>Hallo <b>{{ name }}</b></p>"},
                "fr": {"body": "<p>Cher {{ name }}</p>", "text": "Cher : {{ name }}"},
            },
        )
        assert render(tasks, template)["text"] == "Dear A<B\n\n  * one\n"
        assert render(tasks, template, language="de")["text"] == "Hallo A<B"
        assert render(tasks, template, language="fr-CA")["text"] == "Cher : A<B"
        details = tasks.call("template.get", {"template_id": template, "language": "fr"})
        assert details["version"]["text"] == "Dear {{ name }}\n\n  * one\n"
        assert details["text"]["text"] == "Cher : {{ name }}"

    def test_it_passes_the_gate_like_a_body(self, tasks: Tasks) -> None:
        """It compiles, its placeholders are declared, and its trial render succeeds."""
        template = templates.created(tasks)
        publish = {"template_id": template, "body": "<p>{{ name }}</p>"}
        for text, code in (
            ("{{ name", "template_syntax"),
            ("{{ name | nope }}", "template_syntax"),
            ("{{ nme }}", "placeholder_mismatch"),
            ("{{ name + 1 }}", "template_syntax"),
        ):
            declared = [{"name": "name", "type": "string"}]
            error = refused(tasks, "version.publish", **publish, text=text, variables=declared)
            assert (error.code, error.paths) == (code, {"text"})
        error = refused(tasks, "version.publish", **publish, text="x" * 300_000)
        assert (error.code, error.paths) == ("too_large", {"text"})

    def test_its_placeholders_are_inferred_and_compared(self, tasks: Tasks) -> None:
        """Over all parts together."""
        template = templates.published(tasks, "<p>Hi</p>", text="{{ a }}", preheader="{{ b }}")
        details = tasks.call("template.get", {"template_id": template})
        assert [variable["name"] for variable in details["version"]["variables"]] == ["a", "b"]
        upsert = {"template_id": template, "language_code": "de"}
        error = refused(tasks, "translation.upsert", **upsert, body="Hallo", text="{{ a }}")
        assert [problem["type"] for problem in error.details] == ["lost"]
        tasks.call("translation.upsert", upsert | {"body": "{{ b }}", "text": "{{ a }}"})


class TestPreheader:
    """The line after the subject."""

    def test_it_is_in_the_body_and_the_answer_only(self, tasks: Tasks) -> None:
        """A translation has its own or none: never that of another language."""
        template = templates.published(
            tasks,
            "<body><p>Dear {{ name }}</p></body>",
            preheader="For {{ name }}",
            translations={
                "de": {"body": "<p>Hallo {{ name }}</p>"},
                "fr": {"body": "<p>{{ name }}</p>", "preheader": "Pour {{ name }}"},
            },
        )
        answer = render(tasks, template)
        assert answer["preheader"] == "For A<B"
        assert answer["body"].startswith('<body><div style="display:none;')
        assert "For A&lt;B" in answer["body"]
        assert answer["text"] == "Dear A<B"
        german = render(tasks, template, language="de")
        assert german["body"] == "<p>Hallo A&lt;B</p>"
        assert "preheader" not in german
        assert render(tasks, template, language="fr")["preheader"] == "Pour A<B"

    def test_texts_and_preheaders_are_carried_and_compared(self, tasks: Tasks) -> None:
        """A new preheader of the source makes its translations stale."""
        german = {"body": "d", "text": "t", "preheader": "p"}
        template = templates.published(tasks, "a", preheader="x", translations={"de": german})
        publish = {"template_id": template, "body": "a", "preheader": "y"}
        answer = tasks.call("version.publish", publish)
        assert answer["translations"] == {"carried": ["de"], "stale": ["de"], "dropped": []}
        answer = render(tasks, template, language="de", variables={})
        assert (answer["text"], answer["preheader"], answer["stale"]) == ("t", "p", True)
        compare = {"template_id": template, "from_version": "1", "to_version": "2"}
        difference = tasks.call("version.diff", compare)
        assert difference["preheader"]["diff"] == ["@@ -1 +1 @@", "-x", "+y"]
        assert difference["text"] == {"changed": False, "diff": None}
        assert difference["languages"]["unchanged"][0]["language"] == "de"


@each(
    ("kind", "part"),
    itertools.product(["in_app", "sms", "push", "partial", "json"], ["text", "preheader"]),
)
def test_only_mail_has_a_text_and_a_preheader(tasks: Tasks, kind: str, part: str) -> None:
    """The refusal names the part and the type."""
    template = templates.created(tasks, type=kind)
    message = {"template_id": template, "body": '"x"'}
    error = refused(tasks, "version.publish", **message, **{part: "x"})
    assert (error.code, error.paths) == ("invalid_message", {part})
    assert kind in error.details[0]["message"]
    texts = {"de": {"body": '"x"', part: "x"}}
    error = refused(tasks, "version.publish", **message, translations=texts)
    assert error.paths == {f"translations.de.{part}"}
    error = refused(tasks, "render.preview", type=kind, body='"x"', **{part: "x"})
    assert error.paths == {part}
    tasks.call("version.publish", message)
    upsert = {"template_id": template, "language_code": "de", "body": '"x"'}
    error = refused(tasks, "translation.upsert", **upsert, **{part: "x"})
    assert error.paths == {part}


class TestInlinedStyles:
    """``inline_css``: the source as sent is stored, the inlined form is rendered."""

    def test_the_source_stays_and_the_render_has_the_styles(self, tasks: Tasks) -> None:
        """Of translations too, those written later among them; media queries stay."""
        german = STYLED.replace("Dear", "Hallo")
        template = templates.published(
            tasks, STYLED, inline_css=True, translations={"de": {"body": german}}
        )
        upsert = {"template_id": template, "language_code": "fr"}
        tasks.call("translation.upsert", upsert | {"body": STYLED.replace("Dear", "Cher")})
        for language, word in (("en", "Dear"), ("de", "Hallo"), ("fr", "Cher"), ("de-AT", "Hallo")):
            body = render(tasks, template, language=language)["body"]
            assert f'<p style="color: red;">{word} A&lt;B</p>' in body
            assert "@media (max-width:9px)" in body
        details = tasks.call("template.get", {"template_id": template, "language": "de"})
        assert details["version"]["body"] == STYLED
        assert details["version"]["inline_css"] is True
        assert details["text"]["body"] == german

    def test_a_new_version_decides_anew(self, tasks: Tasks) -> None:
        """Carried translations are inlined if the new version is, and not if it is not."""
        german = STYLED.replace("Dear", "Hallo")
        template = templates.published(tasks, STYLED, translations={"de": {"body": german}})
        publish = {"template_id": template, "body": STYLED}
        assert 'style="' not in render(tasks, template, language="de")["body"]
        answer = tasks.call("version.publish", publish | {"inline_css": True})
        assert answer["translations"]["carried"] == ["de"]
        assert 'style="color: red;"' in render(tasks, template, language="de")["body"]
        tasks.call("version.publish", publish)
        assert 'style="' not in render(tasks, template, language="de")["body"]

    def test_partials_are_inlined_where_they_are_published(self, tasks: Tasks) -> None:
        """Their rules reach their own elements."""
        partial = templates.published(
            tasks, "<style>b{top:0}</style><b>x</b>", type="partial", inline_css=True
        )
        template = templates.published(tasks, f'<b>y</b>{{% include "{partial}" %}}')
        body = render(tasks, template, variables={})["body"]
        assert body == '<b>y</b><style>b{top:0}</style><b style="top: 0;">x</b>'

    def test_refusals_name_the_place(self, tasks: Tasks) -> None:
        """And nothing is stored."""
        template = templates.created(tasks)
        publish = {"template_id": template, "inline_css": True}
        error = refused(tasks, "version.publish", **publish, body="<p>a</p>")
        assert (error.code, error.paths) == ("template_syntax", {"body"})
        assert error.details[0]["type"] == "no_styles"
        texts = {"de": {"body": '<style>p{top:0}</style>\n<p class="{{ name }}">{{ name }}'}}
        error = refused(tasks, "version.publish", **publish, body=STYLED, translations=texts)
        assert error.paths == {"translations.de.body"}
        assert error.details[0]["line"] == 2
        sms = templates.created(tasks, type="sms")
        error = refused(tasks, "version.publish", template_id=sms, body="a", inline_css=True)
        assert (error.code, error.paths) == ("invalid_message", {"inline_css"})
        assert templates.versions(tasks, template) == []

    def test_a_preview_inlines_too(self, tasks: Tasks) -> None:
        """It is on the path of a real render."""
        answer = tasks.call(
            "render.preview",
            {
                "type": "email",
                "body": STYLED,
                "inline_css": True,
                "preheader": "p",
                "text": "t",
                "variables": {"name": "A"},
            },
        )
        assert '<p style="color: red;">Dear A</p>' in answer["body"]
        assert (answer["preheader"], answer["text"]) == ("p", "t")


class TestJson:
    """Templates of type ``json``."""

    SLACK = (
        '{"text": "Order {{ order.id }}", "blocks": [{% for item in items %}\n'
        '{"type": "section", "text": {"type": "mrkdwn", "text": "*{{ item.name }}*"}}'
        "{% if not loop.last %},{% endif %}{% endfor %}],"
        ' "total": {{ total }}{% if note is defined %}, "note": {{ note }}{% endif %}}'
    )

    def test_a_document_is_answered_as_such(self, tasks: Tasks) -> None:
        """In one render and in a batch; the body is its text."""
        template = templates.published(
            tasks,
            self.SLACK,
            type="json",
            variables=[
                {"name": "order.id", "type": "string"},
                {"name": "items", "type": "array", "example": [{"name": "x"}]},
                {"name": "total", "type": "number"},
                {"name": "note", "type": "string", "required": False},
            ],
        )
        values: dict[str, Any] = {"order": {"id": 'A"1'}, "items": [], "total": 1.5}
        answer = render(tasks, template, variables=values)
        assert answer["type"] == "json"
        assert answer["document"] == {"text": 'Order A"1', "blocks": [], "total": 1.5}
        values |= {"items": [{"name": "a\n"}, {"name": "b"}], "note": "\\"}
        items = [{"key": 1, "variables": values}]
        (item,) = tasks.call("render.batch", {"template_id": template, "items": items})["items"]
        document = item["document"]
        assert [block["text"]["text"] for block in document["blocks"]] == ["*a\n*", "*b*"]
        assert document["note"] == "\\"

    def test_a_publish_proves_that_it_is_json(self, tasks: Tasks) -> None:
        """For lists of any length, in every language."""
        template = templates.created(tasks, type="json")
        sound = '["{{ name }}"]'
        publish = {"template_id": template, "variables": ["name", "l"]}
        loop = "[{% for i in l %}{{ i }},{% endfor %}0]"
        error = refused(tasks, "version.publish", **publish, body=loop.replace("0", ""))
        assert (error.code, error.paths) == ("template_syntax", {"body"})
        tasks.call("version.publish", publish | {"body": sound})
        upsert = {"template_id": template, "language_code": "de", "body": '["{{ name }}]'}
        error = refused(tasks, "translation.upsert", **upsert)
        assert (error.code, error.details[0]["type"]) == ("template_syntax", "json")

    def test_list_and_preview_know_the_type(self, tasks: Tasks) -> None:
        """As every other."""
        template = templates.created(tasks, type="json")
        page = tasks.call("template.list", {"type": "json", "prefix": template})
        assert [row["template_id"] for row in page["templates"]] == [template]
        answer = tasks.call(
            "render.preview", {"type": "json", "body": "[{{ a }}]", "variables": {"a": [1]}}
        )
        assert answer["document"] == [[1]]


class TestMarkdown:
    """Variables declared ``markdown``."""

    def test_only_a_declared_value_becomes_markup(self, tasks: Tasks) -> None:
        """In the body; the text part has what a reader would see."""
        template = templates.published(
            tasks,
            "<div>{{ note }}</div><p>{{ name }}</p>",
            variables=[{"name": "note", "type": "markdown"}, "name"],
            translations={"de": {"body": "<div>{{ note }}</div>{{ name }}"}},
        )
        note = "Hi *you*\n\n- <b>\n- [a](https://x.example)"
        values = {"note": note, "name": "*a*"}
        answer = render(tasks, template, variables=values)
        assert answer["body"] == (
            "<div><p>Hi <em>you</em></p>\n<ul>\n<li>&lt;b&gt;</li>\n"
            '<li><a href="https://x.example">a</a></li>\n</ul>\n</div><p>*a*</p>'
        )
        assert answer["text"] == "Hi you\n\n- <b>\n- a <https://x.example>\n\n*a*"
        german = render(tasks, template, variables=values, language="de")
        assert "<em>you</em>" in german["body"]
        error = refused(tasks, "render.one", template_id=template, variables={"note": 1, "name": 1})
        assert error.code == "variables_invalid"

    def test_a_partials_declaration_counts_where_the_version_infers(self, tasks: Tasks) -> None:
        """As for other types."""
        declared = [{"name": "note", "type": "markdown"}]
        partial = templates.published(
            tasks, "<p>{{ note }}</p>", type="partial", variables=declared
        )
        template = templates.published(tasks, f'{{% include "{partial}" %}}')
        answer = render(tasks, template, variables={"note": "*a*"})
        assert answer["body"] == "<p><em>a</em></p>"

    def test_a_publish_refuses_where_no_markup_can_stand(self, tasks: Tasks) -> None:
        """An attribute, say, whose quotes it would break."""
        template = templates.created(tasks)
        declared = [{"name": "note", "type": "markdown"}]
        publish = {"template_id": template, "variables": declared}
        error = refused(tasks, "version.publish", **publish, body='<p title="{{ note }}">a</p>')
        assert (error.code, error.details[0]["type"]) == ("template_syntax", "markdown_position")
