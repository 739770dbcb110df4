"""The demo's Arabic e-mail in a real browser: numbers and Latin names stand where they belong."""

import json
from pathlib import Path

from tasks.rendering.engine import Engine
from tasks.rendering.limits import Limits
from tasks.rendering.texts import PartialText, Text
from tests.browser.screenshots import WIDTH, Box, places
from worker.cli import demo_messages as demo


def page(language: str) -> str:
    """Return the demo's e-mail in a language, as a worker renders it."""
    partials = {
        demo.LAYOUT: PartialText(language="en", body=demo.LAYOUT_TEXT["body"]),
        demo.FOOTER: PartialText(
            language=language, body=demo.FOOTER_TEXT["translations"][language]["body"]
        ),
    }
    source = demo.EMAIL_TEXT["translations"][language]
    text = Text(
        type="email",
        language=language,
        subject=source["subject"],
        body=source["body"],
        partials=partials,
    )
    return rendered(text, demo.VALUES)


def rendered(text: Text, values: dict[str, object]) -> str:
    """Return a body."""
    engine = Engine(Limits())
    ready = engine.prepare(text)
    body = engine.render(ready, engine.values(ready, json.dumps(values).encode()))["body"]
    assert isinstance(body, str)
    return body


def from_the_right(boxes: dict[str, Box]) -> list[str]:
    """Return the texts of one line in the order in which a reader of Arabic meets them."""
    (first, *others) = boxes.values()
    assert all(box.top < first.bottom and box.bottom > first.top for box in others), boxes
    return sorted(boxes, key=lambda text: -boxes[text].right)


def test_numbers_and_names_of_the_arabic_email_stand_where_they_belong(tmp_path: Path) -> None:
    """The greeting from the right, the name after it from the left, then the comma."""
    html = page("ar")
    title = places(html, ["مرحبا", "Zo", "Co", "،"], tmp_path)
    assert from_the_right(title) == ["مرحبا", "Co", "Zo", "،"]
    assert title["مرحبا"].right > WIDTH - 50  # the layout's dir="rtl"
    sums = places(html, ["3", "منتجات", "1,2", "34.50", "€", "تتبع"], tmp_path)
    assert from_the_right(sums) == ["3", "منتجات", "34.50", "1,2", "€", "تتبع"]
    sent = places(html, ["أُرسلت", "22", "نوفمبر", "2026"], tmp_path)
    assert from_the_right(sent) == ["أُرسلت", "22", "نوفمبر", "2026"]


def test_signs_and_neighbours_of_values_stay_where_they_belong(tmp_path: Path) -> None:
    """The same text without isolates shows what the algorithm does to bare values."""
    source = "<p>اتصل بـ {{ phone }} {{ name }}، {{ other }}.</p>"
    values: dict[str, object] = {"phone": "+966 50", "name": "Ada", "other": "Grace"}
    text = Text(
        type="email",
        language="ar",
        subject=None,
        body=f'<div dir="rtl">{source}</div>',
        partials={},
    )
    html = rendered(text, values)
    order = places(html, ["اتصل", "+", "966", "50", "Ada", "Grace"], tmp_path)
    assert from_the_right(order) == ["اتصل", "50", "966", "+", "Ada", "Grace"]
    bare = html.translate(dict.fromkeys(map(ord, "\u2068\u2069")))
    order = places(bare, ["اتصل", "+", "966", "50", "Ada", "Grace"], tmp_path)
    assert from_the_right(order) != ["اتصل", "50", "966", "+", "Ada", "Grace"]
