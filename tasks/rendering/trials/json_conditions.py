"""Conditions of a template as far as a proof about JSON bodies needs them: pure, no I/O."""

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(
    r"""\s*(?:(\()|(\))|(and|or|not)\b(?!\s*in\b)|"""
    r"""((?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[\[{][^\]}]*[\]}]|\w+\s*\([^()]*\)|"""
    r"""(?!(?:and|or)\b)[^()"'\[{\s]+|\s+(?!(?:and|or)\b|\)))+))""",
    re.VERBOSE,
)
_NOT_DEFINED: Final = re.compile(r"(.+?) is (?:not defined|undefined)")
_IS_NOT: Final = re.compile(r"(.+?) is not (\w.*)")
_UNEQUAL: Final = re.compile(r"(.+?) ?!= ?(.+)")
_LENGTH: Final = re.compile(r"(.+?) ?\| ?(?:length|count)(?: ?(?:>|!=) ?0)?")
_EQUAL: Final = re.compile(r"""(.+?) ?== ?("[^"]*"|'[^']*'|-?\d[\d.]*)""")
_WORDS: Final = re.compile(r"(?<![\w.])[A-Za-z_]\w*")

_FIRST: Final = frozenset({"loop.first", "loop.index == 1", "loop.index0 == 0", "loop.index < 2"})
_NOT_FIRST: Final = frozenset(
    {"loop.index > 1", "loop.index >= 2", "loop.index0 > 0", "loop.index0", "loop.index0 >= 1"}
)
_LAST: Final = frozenset({"loop.last", "loop.index == loop.length", "loop.revindex == 1"})
_NOT_LAST: Final = frozenset(
    {"loop.index < loop.length", "loop.revindex > 1", "loop.revindex0 > 0", "loop.revindex0"}
)


class Atom(NamedTuple):
    """A part of a condition without ``and``, ``or`` and ``not``."""

    text: str


class Not(NamedTuple):
    """A negation."""

    of: "Condition"


class Both(NamedTuple):
    """``and``, or with ``any_`` ``or``."""

    left: "Condition"
    right: "Condition"
    any_: bool


Condition = Atom | Not | Both
Facts = frozenset[tuple[str, bool]]
"""What is assumed of atoms."""


def parsed(text: str) -> Condition:
    """Return the structure of a condition; an unknown part is one atom."""
    tokens = list(_tokens(text))
    condition, rest = _either(tokens) if tokens else (None, tokens)
    return condition if condition is not None and not rest else Atom(" ".join(text.split()))


def outcomes(condition: Condition, facts: Facts) -> Iterator[tuple[bool, Facts]]:
    """Yield each possible outcome of a condition, with the assumptions behind it."""
    match condition:
        case Not(of=inner):
            for holds, after in outcomes(inner, facts):
                yield not holds, after
        case Both(left=left, right=right, any_=any_):
            for holds, after in outcomes(left, facts):
                if holds is any_:
                    yield holds, after
                else:
                    yield from outcomes(right, after)
        case Atom(text=text):
            known = dict(facts).get(text)
            for holds in (True, False) if known is None else (known,):
                yield holds, assumed(text, facts, holds=holds)


def assumed(text: str, facts: Facts, *, holds: bool) -> Facts:
    """Return facts with an atom, and what follows from it."""
    new = {text: holds}
    if holds and (match := _EQUAL.fullmatch(text)):
        # A value equals one literal only; which others are asked for is not known here.
        new[f"{match[1]} =="] = True
    if holds and " is defined" not in text and re.fullmatch(r"[\w.]+", text):
        new[f"{text} is defined"] = True
    if not holds and text.endswith(" is defined"):
        new[text.removesuffix(" is defined")] = False
    return frozenset({**dict(facts), **new}.items())


def contradicts(text: str, facts: Facts) -> bool:
    """Return whether an equality cannot hold since another of the same value does."""
    match = _EQUAL.fullmatch(text)
    if match is None:
        return False
    return any(
        holds and other != text and (known := _EQUAL.fullmatch(other)) and known[1] == match[1]
        for other, holds in facts
    )


def without(facts: Facts, names: frozenset[str]) -> Facts:
    """Return facts, except facts about one of the names."""
    return frozenset(fact for fact in facts if names.isdisjoint(words(fact[0])))


def words(text: str) -> set[str]:
    """Return the names in a condition."""
    return set(_WORDS.findall(re.sub(r"\"[^\"]*\"|'[^']*'", "", text)))


def of_loop(*, first: bool, last: bool) -> Mapping[str, bool]:
    """Return the atoms about a loop that hold, or do not, in an iteration."""
    return {
        **dict.fromkeys(_FIRST, first),
        **dict.fromkeys(_NOT_FIRST, not first),
        **dict.fromkeys(_LAST, last),
        **dict.fromkeys(_NOT_LAST, not last),
    }


def normal(text: str) -> str:
    """Return a condition or the subject of a loop as other conditions would name it."""
    text = " ".join(text.split())
    match = _LENGTH.fullmatch(text)
    return match[1] if match else text


def _tokens(text: str) -> Iterator[str]:
    position = 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.end() == position:
            yield from ("(", "(")  # does not parse
            return
        yield match[0].strip()
        position = match.end()


def _either(tokens: list[str]) -> tuple[Condition | None, list[str]]:
    left, rest = _all(tokens)
    while left is not None and rest[:1] == ["or"]:
        right, rest = _all(rest[1:])
        left = None if right is None else Both(left, right, any_=True)
    return left, rest


def _all(tokens: list[str]) -> tuple[Condition | None, list[str]]:
    left, rest = _single(tokens)
    while left is not None and rest[:1] == ["and"]:
        right, rest = _single(rest[1:])
        left = None if right is None else Both(left, right, any_=False)
    return left, rest


def _single(tokens: list[str]) -> tuple[Condition | None, list[str]]:
    match tokens:
        case ["not", *rest]:
            inner, left = _single(rest)
            return (None if inner is None else Not(inner)), left
        case ["(", *rest]:
            inner, left = _either(rest)
            return (inner, left[1:]) if left[:1] == [")"] else (None, left)
        case [first, *rest] if first not in {")", "and", "or"}:
            return _atom(first), rest
    return None, tokens


def _atom(text: str) -> Condition:
    text = normal(text)
    if match := _NOT_DEFINED.fullmatch(text):
        return Not(Atom(f"{match[1]} is defined"))
    if match := _IS_NOT.fullmatch(text):
        return Not(Atom(f"{match[1]} is {match[2]}"))
    if match := _UNEQUAL.fullmatch(text):
        return Not(Atom(f"{match[1]} == {match[2]}"))
    if match := _EQUAL.fullmatch(text):
        return Atom(f"{match[1]} == {match[2]}")
    return Atom(text)
