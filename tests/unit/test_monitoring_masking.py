"""Values in the statements of others stay hidden, whatever they are and wherever they are cut."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from db.monitoring.masking import masked
from tests.support.cases import each

SECRET = "geheim"  # noqa: S105 - what must not be shown


@each(
    ("statement", "shown"),
    [
        ("SELECT 'geheim'", "SELECT ***"),
        ("SELECT 'it''s geheim', x", "SELECT ***, x"),
        (r"SELECT E'a\'geheim', x", "SELECT ***, x"),
        (r"SELECT e'geheim\\', x", "SELECT ***, x"),
        ("SELECT $$geheim$$, x", "SELECT ***, x"),
        ("SELECT $a$ geheim $$ $b$ $a$, x", "SELECT ***, x"),
        ("SELECT U&'geheim', n'geheim', x'0f', B'1'", "SELECT ***, ***, ***, ***"),
        ("SELECT 12, -3.5, .5, 1e10, 0x1F, 1_000", "SELECT ***, -***, ***, ***, ***, ***"),
        ('SELECT a1, t.b2, "c 3", "d""4", $1, e$5', 'SELECT a1, t.b2, "c 3", "d""4", $1, e$5'),
        ("SELECT x -- geheim\n, y", "SELECT x , y"),
        ("SELECT /* geheim /* geheim */ geheim */ x", "SELECT x"),
        ("SELECT like'geheim', x", "SELECT like***, x"),
        ("SELECT\n  x\n\tFROM   t", "SELECT x FROM t"),
        ("SELECT 'a' 'geheim'", "SELECT *** ***"),
        ("", ""),
        # Where it ends is not certain, so nothing after it is shown.
        ("SELECT 'geheim", "SELECT ***"),
        ("SELECT $a$ geheim $b$ x", "SELECT ***"),
        ("SELECT /* geheim", "SELECT ***"),
        ('SELECT "geheim', "SELECT ***"),
        (r"SELECT 'a\' geheim', x", "SELECT ***"),
    ],
)
def test_what_is_shown(statement: str, shown: str) -> None:
    """Names and parameters stay, values and comments go."""
    assert masked(statement) == shown


STORABLE = st.characters(exclude_characters="\0", exclude_categories=["Cs"])


@given(
    st.lists(st.text(STORABLE, min_size=1), min_size=1, max_size=4),
    st.lists(st.sampled_from(["a", '"b c"', " , ", "(", "$1", "::text", "-- x\n", "/* y */"])),
    st.integers(min_value=0, max_value=40),
)
@settings(max_examples=150, deadline=None)
def test_no_value_is_shown(values: list[str], words: list[str], cut: int) -> None:
    """Whatever values a client quotes, and wherever the server cut the statement off."""
    literals = [sql.Literal(f"{value}{SECRET}{value}").as_string() for value in values]
    statement = "SELECT " + " ".join(f"{word} {literal}" for literal in literals for word in words)
    statement += ", ".join(literals)
    assert SECRET not in masked(statement)
    assert SECRET not in masked(statement[: len(statement) - cut])


@given(st.text(alphabet="ab'\"$\\/*-E \n1", max_size=40))
@settings(max_examples=150, deadline=None)
def test_any_text_has_an_answer(text: str) -> None:
    """It is one line, and what is hidden once stays hidden."""
    shown = masked(text)
    assert "\n" not in shown
    assert "'" not in re.sub(r'"[^"]*"', "", shown)
