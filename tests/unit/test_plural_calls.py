# ruff: noqa: RUF001 - letters of other scripts are what is tested
"""The number in the forms of ``plural``, exact forms and ranks."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.rendering.engine import Engine
from tasks.rendering.limits import Limits
from tasks.rendering.locale_filters import FILTERS, ArgumentError
from tasks.rendering.plural_calls import marked
from tasks.rendering.texts import Text
from tests.support.cases import each

ENGINE = Engine(Limits())
QUICK = settings(max_examples=80, deadline=None)


def rendered(source: str, values: dict[str, Any], language: str = "en", kind: str = "push") -> str:
    """Return a body."""
    text = Text(type=kind, language=language, subject=None, body=source, partials={})
    ready = ENGINE.prepare(text)
    body = ENGINE.render(ready, ENGINE.values(ready, json.dumps(values).encode()))["body"]
    assert isinstance(body, str)
    return body


def plural(form: str, number: object = 3, **values: object) -> str:
    """Return what a form, as the source has it, gives for a number in English."""
    source = f"{{{{ n | plural(one={form}, other={form}) }}}}"
    return rendered(source, {"n": number, **values})


@each(
    ("form", "expected"),
    [
        ('"# replies in ticket #42"', "3 replies in ticket #42"),
        ('"#party for # people"', "#party for 3 people"),
        ('"# (#)"', "3 (3)"),
        ('"## is the sign of ##1, # of them"', "# is the sign of #1, 3 of them"),
        ('"###"', "#3"),
        ('"C# for #"', "C# for 3"),
        ('"a_# #_a"', "a_# #_a"),
        ('"#é #ß #ж #α"', "#é #ß #ж #α"),
        ('"#件"', "3件"),
        ('"전체#개"', "전체3개"),
        ('"\\n#\\n#"', "\n3\n3"),
        ('"#️⃣ #"', "#️⃣ 3"),
        ('"# %"', "3 %"),
        ('"#, #. #! #-fold"', "3, 3. 3! 3-fold"),
        ("'#' ~ ' of #'", "3 of 3"),
        ('("# x" if true else "y")', "3 x"),
        ('sign ~ " #" | replace("#", "no.")', "# 3"),
    ],
)
def test_a_sign_next_to_a_letter_or_digit_is_text(form: str, expected: str) -> None:
    """Two signs are one as text; where words have no spaces between them, letters say nothing."""
    assert plural(form, sign="#") == expected


@each("value", ["#", "Room # 5", "# #", "##", "#1"])
def test_a_sign_of_a_value_is_never_the_number(value: str) -> None:
    """Forms may be put together from text and values."""
    assert plural('"# replies in " ~ room', room=value) == f"3 replies in {value}"
    assert plural('room ~ ": # replies"', room=value) == f"{value}: 3 replies"


def test_signs_elsewhere_stay() -> None:
    """In texts of other placeholders, in comments, in raw text and around tags."""
    source = (
        '# {{ "# x" }} {# {{ n | plural(one="#", other="#") }} #}'
        '{% raw %}{{ n | plural(one="#", other="#") }}{% endraw %}'
        ' {{ n | plural(one="a", other="#") }}'
    )
    expected = '# # x {{ n | plural(one="#", other="#") }} 3'
    assert rendered(source, {"n": 3}) == expected


def test_forms_from_elsewhere_are_read_when_they_are_rendered() -> None:
    """As in versions of old, which the gate would refuse now."""
    source = '{% set form = "# replies in #42" %}{{ n | plural(one=form, other=form) }}'
    assert rendered(source, {"n": 3}) == "3 replies in #42"


@each(
    ("number", "expected"),
    [(0, "none"), ("0", "none"), ("0.0", "none"), (1, "one"), (12, "a dozen"), (13, "13 in all")],
)
def test_an_exact_form_comes_before_the_categories(number: object, expected: str) -> None:
    """ICU's ``=0``."""
    forms = 'exactly_0="none", exactly_12="a dozen", one="one", other="# in all"'
    assert rendered(f"{{{{ n | plural({forms}) }}}}", {"n": number}) == expected


def test_exact_forms_may_stand_for_a_category() -> None:
    """Where they have all its numbers; Polish ``one`` is 1 alone, French ``one`` 0 and 1."""
    plural = FILTERS["plural"]
    assert plural("pl", 1, exactly_1="jeden", few="# x", many="# y", other="# z") == "jeden"
    assert plural("fr", 0, exactly_0="zero", exactly_1="un", other="#") == "zero"
    with pytest.raises(ArgumentError, match="fr also needs one"):
        plural("fr", 0, exactly_1="un", other="#")


@each(
    ("language", "forms", "ranks"),
    [
        (
            "en",
            'one="#st", two="#nd", few="#rd", other="#th"',
            {1: "1st", 2: "2nd", 3: "3rd", 11: "11th", 22: "22nd", 1003: "1,003rd"},
        ),
        ("fr", 'one="#er", other="#e"', {1: "1er", 2: "2e"}),
        ("de", 'other="#."', {1: "1.", 2: "2."}),
        ("it", 'many="l’#°", other="il #°"', {8: "l’8°", 9: "il 9°"}),
    ],
)
def test_ranks_have_forms_of_their_own(language: str, forms: str, ranks: dict[int, str]) -> None:
    """CLDR's ordinal rules; a letter may follow the sign."""
    source = f"{{{{ n | plural(ordinal=true, {forms}) }}}}"
    assert {n: rendered(source, {"n": n}, language) for n in ranks} == ranks


@each(
    "forms",
    [
        {"exactly_": "x"},
        {"exactly_01": "x"},
        {"exactly_-1": "x"},
        {"exactly_1.5": "x"},
        {"exactly": "x"},
        {"ordinal": "yes"},
    ],
)
def test_other_names_are_refused(forms: dict[str, str]) -> None:
    """Exact forms are for whole numbers from 0 on."""
    with pytest.raises(ArgumentError):
        FILTERS["plural"]("en", 1, one="#", other="#", **forms)


@QUICK
@given(st.text(st.sampled_from("#a \\\"'1{}%件"), max_size=30))
def test_marks_keep_all_places(text: str) -> None:
    """The engine counts bytes, and errors have their place in the author's source."""
    source = f'{{{{ n | plural(one="{text}", other="#") }}}}'
    assert len(marked(source).encode()) == len(source.encode())
    if "#" not in text:
        assert marked(source).count("\x1e") <= 1
