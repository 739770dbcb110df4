"""Placeholders for the number in the forms of ``plural``: pure, no I/O.

A form may be put together from text in quotes and values, and a ``#`` of a value is text. When
the filter is called, the two cannot be distinguished. So the source that the engine gets has a mark
instead of each ``#`` that means the number, and the filter replaces marks only.
"""

import unicodedata
from typing import Final

from tasks.rendering.calls import Argument, Call, calls

NUMBER: Final = "\x1e"
"""In the place of a ``#`` that means the number; as long, in bytes too."""

NOTHING: Final = "\x1d"
"""In the place of the first of the two ``#`` that are written for one as text."""

MARKED: Final = "_forms"
"""The filter's name where its forms are marked; as long as ``plural``."""

_PLURAL: Final = "plural"
_KEYCAP: Final = frozenset("\ufe0f\u20e3")
"""What makes an emoji of a ``#``."""

_QUOTES: Final = ("'", '"')

_SPACED: Final = ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "GEORGIAN")
"""Scripts in which a letter next to ``#`` makes it a part of a word, as in "#party" and "no#"."""


def marked(source: str) -> str:
    """Return a source with marks in the forms of ``plural``, of the same length."""
    if "#" not in source or _PLURAL not in source:
        return source
    parts: list[str] = []
    last = 0
    for call in calls(source, (_PLURAL,)):
        forms = forms_of(call)
        # Forms that come from elsewhere, as in versions of old, are read when they are rendered.
        if not forms or not all(argument.literals for argument in forms):
            continue
        is_ordinal = is_ordinal_call(call)
        parts += [source[last : call.start], MARKED]
        last = call.start + len(_PLURAL)
        for argument in forms:
            for start, end in argument.literals:
                parts += [source[last:start], read(source[start:end], is_ordinal=is_ordinal)]
                last = end
    return "".join([*parts, source[last:]])


def forms_of(call: Call) -> list[Argument]:
    """Return the arguments of a call of ``plural`` that are forms."""
    return [argument for argument in call.arguments if argument.name not in {None, "ordinal"}]


def is_ordinal_call(call: Call) -> bool:
    """Return whether a call of ``plural`` asks for ordinal forms."""
    return any(
        argument.name == "ordinal" and argument.code.lower() == "true"
        for argument in call.arguments
    )


def read(form: str, *, is_ordinal: bool) -> str:
    """Return a form with marks for each ``#`` that means the number.

    Two are one as text. One next to a letter or digit is text, as in "ticket #42" and "#party"; in
    ordinal forms a letter may follow, as in "#st".
    """
    marks: list[str] = []
    before = ""
    position = 0
    while position < len(form):
        character = form[position]
        position += 1
        behind = form[position : position + 1]
        if character == "\\":
            # As the source has it: what is escaped is not a letter.
            marks += (character, behind)
            position += 1
            character = ""
        elif character != "#":
            marks.append(character)
        elif behind == "#":
            marks.append(f"{NOTHING}#")
            position += 1
        else:
            follows = behind.isdigit() if is_ordinal else _is_of_word(behind)
            is_text = _is_of_word(before) or follows or behind in _KEYCAP
            marks.append("#" if is_text else NUMBER)
        before = character
    return "".join(marks)


def filled(form: str, number: str) -> str:
    """Return a marked form with the number."""
    return form.replace(NOTHING, "").replace(NUMBER, number)


def is_ambiguous(form: Argument, *, is_ordinal: bool) -> bool:
    """Return whether a ``#`` that is read as the number meets a value, which may be a word.

    A ``#`` in quotes of its own is the number, and so is one next to a text that is not of a word.
    """
    for start, end in form.literals:
        text = form.code[start - form.start : end - form.start]
        before = form.code[: start - form.start - 1].rstrip()
        behind = form.code[end - form.start + 1 :].lstrip()
        marks = read(text, is_ordinal=is_ordinal)
        if text == "#":
            continue
        if marks.startswith(NUMBER) and before.endswith("~"):
            before = before[:-1].rstrip()
            if before[-1:] not in _QUOTES or _is_of_word(before[-2:-1]):
                return True
        if marks.endswith(NUMBER) and behind.startswith("~") and not is_ordinal:
            behind = behind[1:].lstrip()
            if behind[:1] not in _QUOTES or _is_of_word(behind[1:2]):
                return True
    return False


def _is_of_word(character: str) -> bool:
    """Return whether a character next to ``#`` makes it text.

    Where words are not separated by spaces, as in Japanese, a letter says nothing.
    """
    if not character:
        return False
    if character == "_" or character.isdigit():
        return True
    return character.isalpha() and unicodedata.name(character, "").startswith(_SPACED)
