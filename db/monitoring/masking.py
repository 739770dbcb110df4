"""Mask the values in SQL statements: they may be personal data.

PostgreSQL's own normalization (``pg_stat_statements``) replaces values only in statements that can
be parsed, and ``pg_stat_activity`` truncates long ones. So the text is tokenized by the lexical
rules of https://www.postgresql.org/docs/current/sql-syntax-lexical.html, and if the end of a string
is uncertain, the rest is hidden.
"""

import re
from typing import Final

HIDDEN: Final = "***"
_TOKEN: Final = re.compile(
    r"""
    (?P<escape> [eE]' )
  | (?P<plain>  (?:[bBnNxX]|[uU]&)?' )
  | (?P<name>   "(?:[^"]|"")*" | [^\W\d][\w$]* | \$\d+\b )
  | (?P<quote>  \$(?P<tag>(?:[^\W\d]\w*)?)\$ )
  | (?P<block>  /\* )
  | (?P<line>   --[^\r\n]* )
  | (?P<number> \.?\d[\w.]* )
  | (?P<open>   " )
  | (?P<other>  . )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPED: Final = re.compile(r"(?:[^'\\]|\\.|'')*'", re.DOTALL)
_PLAIN: Final = re.compile(r"(?:[^']|'')*'", re.DOTALL)
_BLOCK: Final = re.compile(r"/\*|\*/")
_UNCERTAIN: Final = re.compile(r"\\'")


def masked(statement: str) -> str:
    """Return ``statement`` on one line, with ``***`` for strings and numbers and no comments.

    Names, parameters (``$1``) and all other tokens are unchanged.
    """
    shown: list[str] = []
    position = 0
    while (match := _TOKEN.match(statement, position)) is not None:
        kind, position = str(match.lastgroup), match.end()
        if kind in {"name", "other"}:
            shown.append(match[0])
            continue
        end = _end(statement, position, kind, match["tag"])
        shown.append(" " if kind in {"block", "line"} and end is not None else HIDDEN)
        if end is None:
            break
        position = end
    return " ".join("".join(shown).split())


def _end(statement: str, position: int, kind: str, tag: str | None) -> int | None:
    """Return the end of the token that begins before ``position``, or None if uncertain."""
    if kind in {"number", "line"}:
        return position
    if kind == "quote":
        closing = f"${tag}$"
        start = statement.find(closing, position)
        return None if start < 0 else start + len(closing)
    if kind == "block":
        return _end_of_comment(statement, position)
    pattern = {"escape": _ESCAPED, "plain": _PLAIN}.get(kind)
    match = pattern.match(statement, position) if pattern is not None else None
    # With standard_conforming_strings off a backslash escapes in plain strings too.
    if match is None or (kind == "plain" and _UNCERTAIN.search(match[0])):
        return None
    return match.end()


def _end_of_comment(statement: str, position: int) -> int | None:
    depth = 1  # comments nest in PostgreSQL
    for match in _BLOCK.finditer(statement, position):
        depth += 1 if match[0] == "/*" else -1
        if depth == 0:
            return match.end()
    return None
