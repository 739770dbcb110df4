"""A real e-mail through the service: what its author wrote comes out as it is, byte for byte.

``responsive.html`` has what such mails have: style sheets in one line, whose rules begin with
``{#``, markup for Outlook in comments, VML, data: images, entities, attributes without quotes.
"""

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.factories import templates
from tests.support.producer import RefusedError
from tests.support.tasks import Tasks

SAFE = settings(
    max_examples=80,
    deadline=None,
    # The template is made once and only read.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
PAGE = (Path(__file__).parent.parent / "data" / "responsive.html").read_bytes().decode()
LINE_ENDS = pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
NAME = "Ada Lovelace"
LINK = "https://shop.example.org/orders/A-1815?token=5f2c&lang=en"
# Words of the page, each with a placeholder for it and with the value that gives it back.
PLACEHOLDERS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (NAME, "{{ user.name }}", {"user": {"name": NAME}}),
    (LINK.replace("&", "&amp;"), "{{ link }}", {"link": LINK}),
    ("Teapot “Assam”", "{{ products[0] }}", {"products": ["Teapot “Assam”"]}),
    ('"price":"349.85"', '"price":{{ total|string|tojson }}', {}),
    ("349.85", "{{ total|number }}", {"total": 349.85}),
    ('"orderNumber":"A-1815"', '"orderNumber":{{ order|tojson }}', {"order": "A-1815"}),
    ("<s>", "{% if old is defined %}<s>{% endif %}", {"old": 1}),
    ("<!-- Product 3: ", "{# of the kitchen #}<!-- Product {{ third }}: ", {"third": 3}),
    ("mso-hide:all;", "{% raw %}mso-hide:all;{% endraw %}", {}),
)


def with_placeholders(page: str) -> tuple[str, dict[str, Any]]:
    """Return the page as a template, and values that make the page of it again."""
    values: dict[str, Any] = {}
    for words, placeholder, value in PLACEHOLDERS:
        assert words in page
        page = page.replace(words, placeholder)
        values |= value
    return page, values


def test_the_test_page_is_large_and_difficult() -> None:
    """50 KB, with what has broken other engines; nothing of it is the engine's own syntax."""
    assert 48_000 < len(PAGE.encode()) < 60_000
    assert "\r" not in PAGE
    assert not re.search(r"\{\{|\{%", PAGE)
    assert PAGE.count("{#") >= 4
    for part in (
        "@media only screen{#outlook a{padding:0}}",
        "xmlns:v=",
        "<o:OfficeDocumentSettings>",
        "<v:roundrect",
        "<!--[if !mso]><!-->",
        "data:image/png;base64,",
        "\xa0",
        "\U0001f389",
        "&zwnj;&nbsp;",
        "100%}",
        "</td>\n",
    ):
        assert part in PAGE
    # In text, in attributes, in the address of a link, and in comments for Outlook.
    assert PAGE.count(NAME) >= 5
    outlook = "".join(re.findall(r"<!--\[if mso.*?endif\]-->", PAGE, re.DOTALL))
    assert NAME in outlook
    assert LINK.replace("&", "&amp;") in outlook


@LINE_ENDS
def test_a_page_without_placeholders_is_unchanged(tasks: Tasks, end: str) -> None:
    """As the version that is stored, and as what is rendered of it."""
    page = PAGE.replace("\n", end)
    template = templates.published(tasks, page)
    stored = tasks.call("template.get", {"template_id": template, "language": "en"})
    assert stored["text"]["body"] == page
    assert stored["version"]["variables"] == []
    rendered = tasks.call("render.one", {"template_id": template})
    assert rendered["body"] == page
    assert tasks.call("render.preview", {"type": "email", "body": page})["body"] == page


@LINE_ENDS
@pytest.mark.parametrize("kind", ["email", "in_app", "partial", "push"])
def test_a_page_is_unchanged_outside_its_placeholders(tasks: Tasks, kind: str, end: str) -> None:
    """In text, in attributes, in data for programs and in comments for Outlook."""
    page = PAGE.replace("\n", end)
    source, values = with_placeholders(page)
    if kind == "push":
        page = page.replace(LINK.replace("&", "&amp;"), LINK)
    template = templates.published(tasks, source, type=kind, metadata={"language": "en"})
    rendered = tasks.call("render.one", {"template_id": template, "variables": values})
    assert rendered["body"] == page
    items = [{"key": 1, "variables": values}]
    batch = tasks.call("render.batch", {"template_id": template, "items": items})
    assert batch["items"][0]["body"] == rendered["body"]


@LINE_ENDS
def test_a_real_page_can_be_a_layout(tasks: Tasks, end: str) -> None:
    """As a partial whose middle other templates write."""
    page = PAGE.replace("\n", end)
    start = page.index("          <!-- Product 1: ")
    stop = page.index("      </table>", page.index("Field notebook"))
    block = f"{{% block products %}}{page[start:stop]}{{% endblock %}}"
    layout = templates.published(tasks, page[:start] + block + page[stop:], type="partial")
    body = f'{{% extends "{layout}" %}}{{% block products %}}<tr>{end}{{% endblock %}}'
    rendered = tasks.call("render.one", {"template_id": templates.published(tasks, body)})
    assert rendered["body"] == f"{page[:start]}<tr>{end}{page[stop:]}"
    unchanged = templates.published(tasks, f'{{% extends "{layout}" %}}')
    assert tasks.call("render.one", {"template_id": unchanged})["body"] == page


@pytest.fixture(scope="module")
def personal(tasks: Tasks) -> str:
    """Give the page with a placeholder for each name."""
    return templates.published(tasks, PAGE.replace(NAME, "{{ name }}"))


@SAFE
@given(
    name=st.text(st.sampled_from("<>&\"'-!%{}#\0\r\n\xa0 a") | st.characters(codec="utf-8")),
)
def test_a_value_is_text_wherever_it_is_inserted(tasks: Tasks, personal: str, name: str) -> None:
    """Around it nothing changes, and it cannot end a tag, an attribute or a comment."""
    message = {"template_id": personal, "variables": {"name": name}}
    rendered = tasks.call("render.one", message)["body"]
    around = PAGE.split(NAME)
    size, rest = divmod(len(rendered) - sum(map(len, around)), len(around) - 1)
    written = rendered[len(around[0]) :][:size]
    assert rest == 0
    assert rendered == written.join(around)
    assert not set(written) & set("<>\"'\0")
    assert unescape(written) == name.replace("\0", "\ufffd")


@LINE_ENDS
def test_a_placeholder_in_an_unsafe_place_is_refused_with_its_line(tasks: Tasks, end: str) -> None:
    """In a page of 1,000 lines, with its line and column."""
    page = PAGE.replace("\n", end)
    places = {
        "alt=Follow": "alt={{ x }}",
        "NOWRAP": "{{ x }}",
        "<unsubscribe ": "<{{ x }} ",
    }
    lines = page.split("\n")
    expected = set()
    for words, placeholder in places.items():
        (number,) = [number for number, line in enumerate(lines) if words in line]
        before = lines[number].index(words) + placeholder.index("{{")
        expected.add((number + 1, before + 1))
        lines[number] = lines[number].replace(words, placeholder)
    with pytest.raises(RefusedError) as refused:
        templates.published(tasks, "\n".join(lines))
    problems = refused.value.details
    assert refused.value.code == "template_syntax"
    assert {problem["type"] for problem in problems} == {"unsafe_placeholder"}
    assert {(problem["line"], problem["column"]) for problem in problems} == expected


@LINE_ENDS
def test_the_text_alternative_of_a_real_page_is_readable(tasks: Tasks, end: str) -> None:
    """Words and addresses stay; style sheets, Outlook's copy and what is hidden do not."""
    source, values = with_placeholders(PAGE.replace("\n", end))
    template = templates.published(tasks, source)
    text = tasks.call("render.one", {"template_id": template, "variables": values})["text"]
    for part in (
        "Thank you, Ada Lovelace! \U0001f389",
        f"Follow your parcel <{LINK}>",
        "Order A-1815 left our shop on 31 January 2026 • 2 parcels • 7.4 kg",
        "- Total: € 349.85",
        "Delivered to\nAda Lovelace\n12 St James\u2019s Square\nLondon SW1Y 4JH",
        "Return it within 30 days <https://shop.example.org/help#returns>",
        "130\xd7180 cm — \u05e9\u05dc\u05d5\u05dd, \u0645\u0631\u062d\u0628\u0627",
        "5 < 6 && 7 > 6, AT&T is another firm.",
    ):
        assert part in text
    for part in ("outlook", "mso", "{", "@media", "Follow your parcel, Ada", "schema.org", "\xa0"):
        assert part not in text
    assert text == text.strip()
    assert "\r" not in text
    assert "\n\n\n" not in text
