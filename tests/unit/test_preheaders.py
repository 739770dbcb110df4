"""The preheader: first in the body of the page, hidden, padded, and no part of the text."""

from typing import Any

from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from tasks.rendering.engine import Engine
from tasks.rendering.limits import Limits
from tasks.rendering.plain_text import text_of
from tasks.rendering.preheaders import SHOWN_CHARACTERS, with_preheader
from tests.support.cases import each
from tests.support.sources import given, source_of

QUICK = settings(max_examples=80, deadline=None)
ENGINE = Engine(Limits())


def rendered(
    body: str,
    preheader: str,
    partials: dict[str, str] | None = None,
    /,
    **values: Any,  # noqa: ANN401 - any JSON value
) -> dict[str, Any]:
    """Render an e-mail with a preheader."""
    text = source_of(body, "email", partials=partials)
    text["preheader"] = preheader
    return ENGINE.render(ENGINE.prepare(text), given(values))


@each(
    ("page", "before"),
    [
        ("<p>a</p>", ""),
        ("a", ""),
        ("<html><body class='x'><p>a</p></body></html>", "<html><body class='x'>"),
        ("<!DOCTYPE html>\n<HTML><BODY>\na", "<!DOCTYPE html>\n<HTML><BODY>"),
        ("<!doctype html><p>a</p>", "<!doctype html>"),
        (
            "<html><head><title><body></title><style>a{}</style></head><body>a",
            "<html><head><title><body></title><style>a{}</style></head><body>",
        ),
        ("<html><head><meta charset=utf-8></head><p>a", "<html><head><meta charset=utf-8></head>"),
        ("<html><style>a{}</style><body>a", "<html><style>a{}</style><body>"),
        ("<!-- <body> --><body>a", "<!-- <body> --><body>"),
        ("<html><p>a</p>", "<html>"),
        ("<div>a</div><body>b", ""),
    ],
)
def test_it_is_first_in_the_body(page: str, before: str) -> None:
    """Also where the page has no tag for its body."""
    block = with_preheader(page, "Look")
    assert block.startswith(f'{before}<div style="display:none;')
    assert block.endswith(page[len(before) :])
    assert text_of(block) == text_of(page)


def test_it_is_padded_and_hidden_in_every_client() -> None:
    """So that nothing of the body is shown after it."""
    block = with_preheader("", "Look & <see>")
    for hiding in ("display:none", "max-height:0", "opacity:0", "overflow:hidden", "mso-hide:all"):
        assert hiding in block
    assert "Look &amp; &lt;see&gt;&#847;&zwnj;&nbsp;" in block
    assert block.count("&zwnj;") == SHOWN_CHARACTERS - len("Look & <see>")
    assert "&zwnj;" not in with_preheader("", "x" * SHOWN_CHARACTERS)
    assert with_preheader("a", "") == "a"


def test_a_render_answers_it_and_leaves_it_out_of_the_text() -> None:
    """One line, with its values, in the page as in the field."""
    answer = rendered(
        "<body><p>Hi {{ x }}</p></body>",
        "See {{ x }}\nnow {% include 'f' %}",
        {"f": "<b>!</b>"},
        x="<A>",
    )
    assert answer["preheader"] == "See <A> now !"
    assert "See &lt;A&gt; now !" in answer["body"]
    assert answer["text"] == "Hi <A>"
    assert "preheader" not in ENGINE.render(ENGINE.prepare(source_of("a", "email")), {})


@QUICK
@drawn(st.text())
def test_no_value_leaves_the_preheader(value: str) -> None:
    """It is text, whatever it holds."""
    answer = rendered("<body>Hi</body>", "{{ x }}", x=value)
    assert answer["text"] == text_of(answer["body"]) == "Hi"
    assert "\n" not in answer["preheader"]
