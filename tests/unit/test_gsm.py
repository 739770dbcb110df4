"""What the locale filters write in an SMS: the spaces and punctuation of GSM-7."""

import json
from typing import Any

import pytest
from babel import localedata

from tasks.rendering.engine import Engine
from tasks.rendering.limits import Limits
from tasks.rendering.locale_filters import FILTERS
from tasks.rendering.locale_filters.gsm import for_sms
from tasks.rendering.sms import beyond_gsm
from tasks.rendering.texts import Text
from tests.support.cases import each

ENGINE = Engine(Limits())
REPLACED = "\u00a0\u2007\u2009\u202f\u2018\u2019\u201c\u201d\u201e\u2013\u2014\u2026\u2212"
MOMENT = "2026-08-31T18:30:00Z"


def rendered(
    source: str, values: dict[str, Any], language: str, kind: str = "sms"
) -> dict[str, Any]:
    """Return the parts of a text."""
    text = Text(type=kind, language=language, subject=None, body=source, partials={})
    ready = ENGINE.prepare(text)
    return ENGINE.render(ready, ENGINE.values(ready, json.dumps(values).encode()))


@each(
    ("language", "source", "sms", "push"),
    [
        ("de", '{{ "1234.5" | currency("EUR") }}', "1.234,50 €", "1.234,50\u00a0€"),
        ("fr", "{{ -1234567.5 | number }}", "-1 234 567,5", "-1\u202f234\u202f567,5"),
        ("sv", "{{ -0.5 | percent }}", "-50 %", "\u221250\u00a0%"),
        ("de-CH", "{{ 1234 | number }}", "1'234", "1\u2019234"),
        ("en", f'{{{{ "{MOMENT}" | time }}}}', "6:30 PM", "6:30\u202fPM"),
        ("ca", f'{{{{ "{MOMENT}" | date("d MMMM") }}}}', "31 d'agost", "31 d\u2019agost"),
        (
            "fr",
            '{{ 1234 | plural(one="# x", other="# l\u2019x") }}',
            "1 234 l\u2019x",
            "1\u202f234 l\u2019x",
        ),
        (
            "fr",
            '{{ ["l\u2019a\u2026", 1234] | list }}',
            "l\u2019a\u2026 et 1 234",
            "l\u2019a\u2026 et 1\u202f234",
        ),
        (
            "en",
            f"""{{{{ "{MOMENT}" | date("d '\u2018of\u2019' MMMM") }}}}""",
            "31 \u2018of\u2019 August",
            "31 \u2018of\u2019 August",
        ),
    ],
)
def test_filters_write_the_punctuation_of_gsm_7(
    language: str, source: str, sms: str, push: str
) -> None:
    """In an SMS and nowhere else; what an author or a value wrote stays."""
    assert rendered(source, {}, language)["body"] == sms
    assert rendered(source, {}, language, "push")["body"] == push


def test_right_to_left_text_keeps_its_spaces() -> None:
    """It needs UCS-2 anyway, and they hold numbers and signs together."""
    assert for_sms("he") == "he"
    body = rendered('{{ "1234.5" | currency("EUR") }}', {}, "he")["body"]
    assert body == "\u2068\u200f1,234.50\u00a0\u200f\u20ac\u2069"


def test_no_filter_writes_such_punctuation_in_any_language() -> None:
    """All languages of CLDR but those that are written from right to left, which need UCS-2."""
    calls: list[tuple[str, object, tuple[object, ...]]] = [
        ("currency", "-1234567.5", ("EUR",)),
        ("number", "-1234567.5", ()),
        ("percent", "-1234.5", (1,)),
        *(("datetime", MOMENT, (form,)) for form in ("short", "medium", "long", "full")),
        ("time", MOMENT, ("zzzz", "America/St_Johns")),
        ("list", ["a", "b", "c"], ()),
    ]
    wrong = []
    for name in sorted(localedata.locale_identifiers()):
        # Each of a language's regions is read from its own file; those of one script are enough.
        language = for_sms(name.replace("_", "-"))
        if language.endswith("-x-gsm") and len(name.split("_")) == 1:
            for filter_name, value, arguments in calls:
                text = FILTERS[filter_name](language, value, *arguments)
                if set(text) & set(REPLACED):
                    wrong.append((language, filter_name, text))
    assert wrong == []


def test_an_sms_lists_what_makes_it_ucs_2() -> None:
    """Each character once, in the order of the text; none where all are of GSM-7."""
    parts = rendered(
        "{{ name }}, l\u2019\u00e9t\u00e9 \u017c\u017c!", {"name": "Zo\u00eb \U0001f600"}, "fr"
    )
    assert parts["ucs2_characters"] == ["\u00eb", "\U0001f600", "\u2019", "\u017c"]
    assert parts["encoding"] == "UCS-2"
    parts = rendered("{{ p | currency('EUR') }} [ok]", {"p": 5}, "fr")
    assert (parts["ucs2_characters"], parts["encoding"]) == ([], "GSM-7")
    assert beyond_gsm("") == []


def test_an_error_names_the_language_as_its_author_does() -> None:
    """The mark of an SMS is no part of it."""
    text = Text(
        type="sms", language="pl", subject=None, body='{{ 1|plural(one="#") }}', partials={}
    )
    ready = ENGINE.prepare(text)
    with pytest.raises(Exception, match="plural: pl also needs few, many"):
        ENGINE.render(ready, {})
