"""What a render puts out: the parts of each type, text that stays text, and the limits."""

import hashlib
import re
import unicodedata
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.factories import templates
from tests.support.cases import each
from tests.support.producer import RefusedError
from tests.support.tasks import Tasks

SAFE = settings(
    max_examples=80,
    deadline=None,
    # The templates are made once and only read.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
LINE_ENDS = "\t\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029"
BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
TEXT = st.text(
    st.sampled_from(f"<>&\"'/=`;#!-{{}}% a\0{LINE_ENDS}{BIDI}") | st.characters(codec="utf-8")
)


def render(tasks: Tasks, template: str, **variables: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    """Render a template."""
    return tasks.call("render.one", {"template_id": template, "variables": variables})


def refused(tasks: Tasks, task: str, **keywords: Any) -> RefusedError:  # noqa: ANN401 - a message's keywords
    """Return the refusal of a message."""
    with pytest.raises(RefusedError) as caught:
        tasks.call(task, keywords)
    return caught.value


class Page(HTMLParser):
    """What a reader of HTML finds: elements, attributes, text and comments."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.comments: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take an element."""
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        """Take text."""
        self.text += data

    def handle_comment(self, data: str) -> None:
        """Take a comment."""
        self.comments.append(data)


@pytest.fixture(scope="module")
def subjects(tasks: Tasks) -> dict[str, str]:
    """Give a template of each type whose subject has two values."""
    return {
        kind: templates.published(
            tasks, "x", subject="Re: {{ x }} -\n {{ y }}", type=kind, variables=["x", "y"]
        )
        for kind in ("email", "in_app", "sms", "push", "partial")
    }


class TestSubject:
    """One line, whatever the values are."""

    @SAFE
    @given(kind=st.sampled_from(["email", "in_app", "sms", "push", "partial"]), x=TEXT, y=TEXT)
    @example(kind="email", x="a\r\nBcc: all@example.org", y="\r")
    @example(kind="email", x="\u202egpj.exe\u2029", y="\0")
    def test_a_value_cannot_break_or_reverse_a_subject(
        self, tasks: Tasks, subjects: dict[str, str], kind: str, x: str, y: str
    ) -> None:
        """No line break, control or bidi control is left, and no word is lost."""
        subject = render(tasks, subjects[kind], x=x, y=y)["subject"]
        assert len(subject.splitlines()) == 1
        assert not set(subject) & {*LINE_ENDS, *BIDI}
        assert "Cc" not in {unicodedata.category(character) for character in subject}
        assert "  " not in subject
        assert subject == subject.strip()
        spaced = re.sub(f"[{LINE_ENDS}]", " ", f"Re: {x} - {y}")
        visible = "".join(
            character
            for character in spaced
            if unicodedata.category(character) != "Cc" and character not in BIDI
        )
        assert subject.split() == visible.split()

    def test_values_in_subjects_are_not_escaped(
        self, tasks: Tasks, subjects: dict[str, str]
    ) -> None:
        """In no type: a subject is no HTML."""
        for template in subjects.values():
            assert render(tasks, template, x="<&>", y="'\"")["subject"] == "Re: <&> - '\""


HTML_TYPES = ("email", "in_app", "partial")


@pytest.fixture(scope="module")
def pages(tasks: Tasks) -> dict[str, str]:
    """Give a template of each type with a value in every place that is allowed."""
    body = (
        '<p title="{{ x }}" data-x=\'{{ x }}\' class="a {{ y }} b">-{{ x }}-</p>'
        '<!-- {{ y }} --><b>{{ y }}</b><i data-list="{{ xs|join(x) }}" '
        "data-json='{{ {'x': x}|tojson }}'></i>"
    )
    names = ["x", "y", "xs"]
    return {
        kind: templates.published(tasks, body, type=kind, variables=names) for kind in HTML_TYPES
    }


@pytest.fixture(scope="module")
def links(tasks: Tasks) -> str:
    """Give a template whose addresses are values, whole and in part."""
    return templates.published(
        tasks,
        '<a href="{{ x }}">1</a><img src=\'{{ x }}{{ y }}\'><a HREF="{{ x }}:{{ y }}">2</a>'
        '<a href=" \n{{ y }}{{ x }}">3</a>',
        type="in_app",
        variables=["x", "y"],
    )


class TestHtml:
    """In HTML a value is text, and an address is one that leads somewhere."""

    @SAFE
    @given(kind=st.sampled_from(HTML_TYPES), x=TEXT, y=TEXT)
    @example(kind="email", x="\"' onload=x ", y="--><script>")
    @example(kind="email", x="&lt;b&gt;&quot", y="--!>")
    def test_rendered_html_parses_with_values_as_text_only(
        self, tasks: Tasks, pages: dict[str, str], kind: str, x: str, y: str
    ) -> None:
        """Text and quoted attributes hold exactly the value, and there is no other element."""
        page = Page(render(tasks, pages[kind], x=x, y=y, xs=["1", "2"])["body"])
        x, y = x.replace("\0", "\ufffd"), y.replace("\0", "\ufffd")
        assert page.elements == ["p", "b", "i"]
        *attributes, (name, encoded) = page.attributes
        assert attributes == [
            ("title", x),
            ("data-x", x),
            ("class", f"a {y} b"),
            ("data-list", f"1{x}2"),
        ]
        assert name == "data-json"
        assert encoded is not None
        assert encoded.startswith('{"x": "')
        assert page.text == f"-{x}-{y}"
        assert len(page.comments) == 1

    ADDRESS = st.lists(
        st.sampled_from(
            [
                *("java", "JaVaScRiPt", "script", "vb", "data", ":", "\t", "\n", "\r", " ", "\0"),
                *(
                    "&#58;",
                    "&colon;",
                    "&#x6a;",
                    "%6a",
                    "\x01",
                    "/",
                    "https",
                    "image/png",
                    "a",
                    "\xa0",
                ),
            ]
        ),
        max_size=5,
    ).map("".join)

    @SAFE
    @given(x=ADDRESS, y=ADDRESS)
    @example(x="javascript:alert(1)", y="")
    @example(x="java\tscript", y="alert(1)")
    @example(x="\x01 javascript", y=":x")
    @example(x="vbscript", y="x")
    @example(x="data:text/html,x", y="x")
    @example(x="https://example.org/javascript:", y="x")
    def test_script_urls_are_refused(self, tasks: Tasks, links: str, x: str, y: str) -> None:
        """It is refused if, and only if, a browser would take it for one that does."""
        given = [f"{x}", f"{x}{y}", f"{x}:{y}", f" \n{y}{x}"]
        is_dangerous = any(
            runs_a_program(address.replace("\0", "\ufffd"), loads_images=index == 1)
            for index, address in enumerate(given)
        )
        if is_dangerous:
            message = {"template_id": links, "variables": {"x": x, "y": y}}
            error = refused(tasks, "render.one", **message)
            assert error.code == "variables_invalid"
            assert [problem["type"] for problem in error.details] == ["dangerous_address"]
        else:
            body = render(tasks, links, x=x, y=y)["body"]
            urls = [value for name, value in Page(body).attributes if name in {"href", "src"}]
            assert urls == [address.replace("\0", "\ufffd") for address in given]


def runs_a_program(address: str, *, loads_images: bool) -> bool:
    """Tell whether a browser would run what stands in an address (URL standard, section 4.4)."""
    address = re.sub("[\t\n\r]", "", address.lstrip("".join(map(chr, range(0x21))))).lower()
    scheme, colon, rest = address.partition(":")
    if not colon:
        return False
    if scheme == "data":
        return not (loads_images and rest.startswith("image/"))
    return scheme in {"javascript", "vbscript"}


class Words(HTMLParser):
    """The words that a reader sees, with what the text alternative tells of links and lists."""

    APART = frozenset({"p", "h1", "h2", "div", "td", "tr", "table", "ul", "ol", "li", "br"})
    HIDDEN = frozenset({"style", "title", "script"})

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.hidden = 0
        self.href = ""
        self.feed(html)
        self.close()

    @property
    def words(self) -> list[str]:
        """The words in order."""
        return "".join(self.parts).split()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take an element."""
        self.hidden += tag in self.HIDDEN
        if tag in self.APART:
            self.parts.append(" - " if tag == "li" else " ")
        elif tag == "a":
            self.href = dict(attrs).get("href") or ""

    def handle_endtag(self, tag: str) -> None:
        """Take the end of an element."""
        self.hidden -= tag in self.HIDDEN
        if tag in self.APART:
            self.parts.append(" ")
        elif tag == "a" and not self.href.startswith("#"):
            shown = re.sub("^(mailto|tel):", "", self.href)
            self.parts.append(f" <{shown}>")

    def handle_data(self, data: str) -> None:
        """Take text."""
        if not self.hidden:
            self.parts.append(data)


WORD = st.text("abcäß&amp;<>\"'€😀", min_size=1, max_size=8)
HREF = st.sampled_from(
    ["https://example.org/?a=1&b=2#c", "mailto:ada@example.org", "tel:+49301815", "#top", "/help"]
)
INLINE = st.sampled_from(
    [
        "word",
        "&lt;b&gt;&nbsp;&amp;",
        "<b>bold</b>er",
        "{{ x }}",
        "<i>{{ y }}</i>",
        '<a href="https://example.org/?q={{ x|urlencode }}&amp;b=2">a label</a>',
        "<a href='{{ link }}'>to {{ y }}</a>",
        '<a href="#top"><b>up</b></a>',
        "{% if flag %}yes{% else %}no {{ x }}{% endif %}",
        "{% for word in words %}{{ word }}, {% endfor %}",
        "<!-- a comment {{ x }} -->",
        "{# another #}",
        "one<br>two",
    ]
)
BLOCK = st.tuples(st.sampled_from(["p", "h1", "div", "span"]), st.lists(INLINE, max_size=4)).map(
    lambda block: f"<{block[0]}>w {' '.join(block[1])}</{block[0]}>"
)
LIST = st.lists(INLINE.filter(lambda piece: not piece.startswith(("<!", "{"))), min_size=1).map(
    lambda pieces: "<ul>" + "".join(f"<li>{piece}</li>" for piece in pieces) + "</ul>"
)
TABLE = st.lists(INLINE, min_size=1).map(
    lambda cells: "<table><tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr></table>"
)
BODY = st.lists(BLOCK | LIST | TABLE, min_size=1, max_size=4).map("\r\n".join)


class TestTextAlternative:
    """The plain text of an e-mail says what its HTML says."""

    @SAFE
    @given(
        body=BODY,
        values=st.fixed_dictionaries(
            {
                "x": WORD,
                "y": st.lists(WORD, min_size=1, max_size=3).map(" ".join),
                "link": HREF,
                "flag": st.booleans(),
                "words": st.lists(WORD, max_size=3),
            }
        ),
    )
    def test_the_text_alternative_has_the_words_of_the_html(
        self, tasks: Tasks, body: str, values: dict[str, Any]
    ) -> None:
        """In their order, none escaped and none from comments; links keep their addresses."""
        head = "<title>no</title><style>#no{color:red}</style>"
        message = {"type": "email", "body": head + body, "variables": values}
        answer = tasks.call("render.preview", message | {"variables_schema": list(values)})
        assert answer["text"].split() == Words(answer["body"]).words

    def test_the_text_alternative_has_lines_lists_and_links(self, tasks: Tasks) -> None:
        """Paragraphs, lists and links, as they are written in mails without HTML."""
        template = templates.published(
            tasks,
            "<h1>Hello\n {{ name }}</h1><p>Two<br>lines</p><ul><li>{{ a }}</li><li>b</li></ul>"
            '<p>See <a href="https://example.org/?a=1&amp;b={{ a }}">your order</a>, '
            "<a href='mailto:{{ mail }}'>{{ mail }}</a>.</p>",
            variables=["name", "a", "mail"],
        )
        values = {"name": "A & B", "a": "<1>", "mail": "ada@example.org"}
        assert render(tasks, template, **values)["text"] == (
            "Hello A & B\n\nTwo\nlines\n\n- <1>\n- b\n\n"
            "See your order <https://example.org/?a=1&b=%3C1%3E>, ada@example.org."
        )


@pytest.fixture(scope="module")
def digests(tasks: Tasks) -> dict[str, str]:
    """Give templates with a subject and without."""
    return {
        "email": templates.published(tasks, "{{ x }}", subject="{{ x }}", variables=["x"]),
        "sms": templates.published(tasks, "{{ x }}", type="sms", variables=["x"]),
        "push": templates.published(
            tasks, "{{ x }}", subject="-{{ x }}", type="push", variables=["x"]
        ),
    }


class TestParts:
    """What results of each type have beside subject and body."""

    @each(
        ("text", "encoding", "length", "segments"),
        [
            ("", "GSM-7", 0, 1),
            ("a" * 160, "GSM-7", 160, 1),
            ("a" * 161, "GSM-7", 161, 2),
            ("é€[", "GSM-7", 5, 1),
            ("€" * 80, "GSM-7", 160, 1),
            ("€" * 81, "GSM-7", 162, 2),
            ("a" * 306, "GSM-7", 306, 2),
            ("a" * 307, "GSM-7", 307, 3),
            ("a" * 152 + "€" + "a" * 152, "GSM-7", 306, 3),
            ("ç", "UCS-2", 1, 1),
            ("ж" * 70, "UCS-2", 70, 1),
            ("ж" * 71, "UCS-2", 71, 2),
            ("😀" * 35, "UCS-2", 70, 1),
            ("😀" * 36, "UCS-2", 72, 2),
            ("<&>", "GSM-7", 3, 1),
        ],
    )
    def test_sms_segments_are_counted(
        self, tasks: Tasks, text: str, encoding: str, length: int, segments: int
    ) -> None:
        """As a network charges for them (3GPP TS 23.038 and 23.040)."""
        template = templates.published(tasks, "{{ x }}", type="sms", variables=["x"])
        answer = render(tasks, template, x=text)
        assert answer["body"] == text
        assert (answer["encoding"], answer["length"], answer["segments"]) == (
            encoding,
            length,
            segments,
        )

    def test_the_title_of_a_push_is_its_subject(self, tasks: Tasks) -> None:
        """By the same rules; null where there is none."""
        template = templates.published(
            tasks, "{{ x }}", subject="{{ x }}", type="push", variables=["x"]
        )
        answer = render(tasks, template, x="a\r\n<b>")
        assert (answer["title"], answer["subject"], answer["body"]) == (
            *("a <b>", "a <b>"),
            "a\r\n<b>",
        )
        assert render(tasks, templates.published(tasks, "x", type="push"))["title"] is None

    def test_each_type_has_only_its_own_parts(self, tasks: Tasks) -> None:
        """Not as null either."""
        of_types = {
            "email": {"text"},
            "in_app": set[str](),
            "partial": set[str](),
            "sms": {"encoding", "length", "segments", "ucs2_characters"},
            "push": {"title"},
        }
        every = {"text", "encoding", "length", "segments", "ucs2_characters", "title"}
        for kind, parts in of_types.items():
            answer = render(tasks, templates.published(tasks, "x", subject="y", type=kind))
            assert answer.keys() & every == parts

    def test_results_name_defaulted_and_unused_variables(self, tasks: Tasks) -> None:
        """By their paths; a null counts as left out, and a default of null as none."""
        template = templates.published(
            tasks,
            "{{ a }}{{ o.b }}{{ o.c }}{{ d|default('-') }}{{ 'yes' if e else 'no' }}",
            variables=[
                {"name": "a", "default": 1},
                {"name": "o.b", "default": 2},
                "o.c",
                {"name": "d", "required": False, "default": None},
                {"name": "e", "type": "boolean", "default": False},
            ],
        )
        answer = render(tasks, template, a=None, o={"c": 3, "x": 1}, y={"z": 1}, A=1)
        assert answer["body"] == "123-no"
        assert sorted(answer["defaulted"]) == ["a", "e", "o.b"]
        assert answer["unused"] == ["o.x", "y", "A"]

    @SAFE
    @given(kind=st.sampled_from(["email", "sms", "push"]), x=TEXT)
    def test_content_sha256_covers_subject_and_body(
        self, tasks: Tasks, digests: dict[str, str], kind: str, x: str
    ) -> None:
        """As any client computes it: subject, one NUL byte, body, in UTF-8."""
        answer = render(tasks, digests[kind], x=x)
        text = f"{answer['subject'] or ''}\0{answer['body']}"
        assert answer["content_sha256"] == hashlib.sha256(text.encode()).hexdigest()
        assert text.count("\0") == 1


class TestLimits:
    """The exact limit passes; one more is refused with limit and size."""

    def test_the_source_of_a_body_is_limited(self, tasks: Tasks) -> None:
        """262,144 bytes of UTF-8: of versions, translations and previews."""
        fits = "ä" * 131_072
        template = templates.published(tasks, fits, type="sms")
        assert render(tasks, template)["body"] == fits
        translation = {"template_id": template, "language_code": "de"}
        tasks.call("translation.upsert", translation | {"body": fits})
        assert tasks.call("render.preview", {"type": "sms", "body": fits})["body"] == fits
        above = f"{fits}b"
        message = "the source of a body is 262145 bytes, the limit is 262144"
        for task, keywords in (
            ("version.publish", {"template_id": template, "body": above}),
            ("translation.upsert", translation | {"body": above}),
            ("render.preview", {"type": "sms", "body": above}),
        ):
            error = refused(tasks, task, **keywords)
            assert error.code == "too_large"
            assert error.details == [{"path": "body", "type": "too_large", "message": message}]

    def test_the_source_of_a_subject_is_limited(self, tasks: Tasks) -> None:
        """2,048 bytes of UTF-8, of which a comment shows nothing."""
        fits = "{# " + "ä" * 1021 + " #}"
        assert len(fits.encode()) == 2048
        template = templates.published(tasks, "x", subject=fits)
        assert render(tasks, template)["subject"] == ""
        error = refused(
            tasks, "version.publish", template_id=template, body="x", subject=f"{fits}b"
        )
        message = "the source of a subject is 2049 bytes, the limit is 2048"
        assert error.code == "too_large"
        assert error.details == [{"path": "subject", "type": "too_large", "message": message}]

    def test_the_size_of_variables_is_limited(self, tasks: Tasks) -> None:
        """262,144 bytes of JSON, without spaces and in UTF-8."""
        template = templates.published(tasks, "{{ x|length }}", variables=["x"])
        fits = "ä" * ((262_144 - len('{"x":""}')) // 2)
        assert render(tasks, template, x=fits)["body"] == str(len(fits))
        error = refused(tasks, "render.one", template_id=template, variables={"x": f"{fits}b"})
        message = "variables is 262145 bytes, the limit is 262144"
        assert error.code == "too_large"
        assert error.details == [{"path": "variables", "type": "too_large", "message": message}]

    @each("kind", ["email", "sms"])
    def test_the_output_is_limited(self, tasks: Tasks, kind: str) -> None:
        """2,097,152 bytes of UTF-8."""
        template = templates.published(
            tasks, "{{ x * 16 }}{{ y }}", type=kind, variables=["x", "y"]
        )
        x = "ä" * 65_536
        assert len(render(tasks, template, x=x, y="")["body"].encode()) == 2_097_152
        error = refused(tasks, "render.one", template_id=template, variables={"x": x, "y": "b"})
        message = "the output is 2097153 bytes, the limit is 2097152"
        assert error.code == "render_limit_exceeded"
        assert error.details == [{"path": "body", "type": "limit", "message": message}]

    def test_the_length_of_a_subject_is_limited(self, tasks: Tasks) -> None:
        """998, counted once it is one line."""
        template = templates.published(tasks, "x", subject=" {{ x }}\r\n", variables=["x"])
        fits = "ä" * 998
        assert render(tasks, template, x=fits)["subject"] == fits
        error = refused(tasks, "render.one", template_id=template, variables={"x": f"{fits}b"})
        message = "the subject is 999 characters, the limit is 998"
        assert error.code == "render_limit_exceeded"
        assert error.details == [{"path": "subject", "type": "limit", "message": message}]

    def test_the_depth_of_partials_is_limited(self, tasks: Tasks) -> None:
        """Ten, one below the other; a template that uses them is none of them."""
        used = templates.published(tasks, "end", type="partial")
        for number in range(2, 11):
            used = templates.published(tasks, f'{number}{{% include "{used}" %}}', type="partial")
        include = f'{{% include "{used}" %}}'
        assert render(tasks, templates.published(tasks, include))["body"] == "1098765432end"
        eleventh = templates.published(tasks, f"11{include}", type="partial")
        body = f'{{% include "{eleventh}" %}}'
        message = "partials are nested 11 deep, the limit is 10"
        for task, keywords in (
            ("version.publish", {"template_id": templates.created(tasks), "body": body}),
            ("render.preview", {"type": "in_app", "body": body}),
        ):
            error = refused(tasks, task, **keywords)
            assert error.code == "too_large"
            assert error.details == [{"path": "body", "type": "too_large", "message": message}]
