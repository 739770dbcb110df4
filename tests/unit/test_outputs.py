"""Rules of what leaves the renderer."""

import hashlib

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.rendering.outputs import BIDI_CONTROLS, ISOLATES, is_html, one_line, sha256, without_nul
from tests.support.cases import each

QUICK = settings(max_examples=80, deadline=None)
# Unicode Standard Annex 14: what any reader of the line may take for its end; str.splitlines too.
LINE_ENDS = "\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029"
SOME_TEXT = st.text(
    st.sampled_from(f"ab \t\0{LINE_ENDS}{BIDI_CONTROLS}\x7f\x9b") | st.characters(codec="utf-8")
)


@QUICK
@given(SOME_TEXT)
@example("Hello\r\nBcc: all@example.org")
@example("a\0b")
def test_a_subject_is_one_line_whatever_the_text(text: str) -> None:
    """No value can end the header line, hide in it, or turn it around."""
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert not set(line) & {*LINE_ENDS, *set(BIDI_CONTROLS) - set(ISOLATES), "\0", "\t"}
    assert all(character >= " " and not "\x7f" <= character <= "\x9f" for character in line)
    assert line == line.strip()
    assert len(line) <= len(text)


@QUICK
@given(SOME_TEXT)
@example("a\r\b\rb")
def test_making_one_line_twice_changes_nothing_more(text: str) -> None:
    """The rules leave nothing behind that they would change."""
    assert one_line(one_line(text)) == one_line(text)


@QUICK
@given(st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1), min_size=1))
def test_the_words_of_a_subject_stay(words: list[str]) -> None:
    """Words between line breaks stay apart, in order."""
    assert one_line("\r\n".join(words)).split(" ") == words


def test_letters_of_right_to_left_languages_stay() -> None:
    """Only the controls go, and not the marks that Arabic and Hebrew text needs."""
    text = "مرحبا שלום\u200f"
    assert one_line(text) == text


@each("control", sorted(set(BIDI_CONTROLS) - set(ISOLATES)))
def test_bidi_embeddings_and_overrides_go(control: str) -> None:
    """U+202A-202E reorder the text after them."""
    assert one_line(f"invoice{control}fdp.exe") == "invoicefdp.exe"


def test_isolates_stay() -> None:
    """Those of a value do not come this far: see ``without_controls``."""
    text = "\u2067a\u2069 \u2068b\u2069 \u2066c\u2069"
    assert one_line(f" {text}\n") == text


def test_all_nine_bidi_controls_are_known() -> None:
    """The ranges of Unicode Standard Annex 9."""
    expected = {*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}
    assert set(BIDI_CONTROLS) == expected


def test_nul_becomes_the_replacement_character() -> None:
    """A body keeps its length and loses its NULs, which C programs take for its end."""
    assert without_nul("a\0b\0") == "a\ufffdb\ufffd"
    assert without_nul("ab") == "ab"


def test_html_bodies_are_those_of_email_in_app_and_partial() -> None:
    """The contract's list of types, and which of them escape."""
    types = ("email", "in_app", "partial", "sms", "push")
    assert [is_html(kind) for kind in types] == [True, True, True, False, False]


def test_the_digest_is_of_subject_nul_body() -> None:
    """Any client language can compute it: UTF-8, one NUL byte between."""
    expected = hashlib.sha256("Größe".encode() + b"\0" + b"Body").hexdigest()
    assert sha256("Größe", "Body") == expected
    assert sha256(None, "Body") == sha256("", "Body") == hashlib.sha256(b"\0Body").hexdigest()


@QUICK
@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_other_texts_have_another_digest(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Subject and body cannot be shifted into each other: no subject holds a NUL."""
    first, second = (one_line(one[0]), one[1]), (one_line(other[0]), other[1])
    assert (sha256(*first) == sha256(*second)) is (first == second)
