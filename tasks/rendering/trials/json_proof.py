"""Proof that a JSON body is JSON for all values: every path through conditions and loops.

A parser of JSON goes through the source with a set of states. A condition takes both its ways,
unless it was decided before; a loop none, one and more than one iteration. What cannot be followed
(macros, captures, partials, names that are set) is not refused here: the trial renders try it, and
a render parses its output.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from tasks.errors import Problem
from tasks.rendering.places import placed
from tasks.rendering.tags import Kind, Tag, tags
from tasks.rendering.trials.json_conditions import (
    Condition,
    Facts,
    assumed,
    contradicts,
    normal,
    of_loop,
    outcomes,
    parsed,
    without,
    words,
)

MOST_STATES: Final = 500
"""States at one place; with more, the proof is given up."""

MOST_STEPS: Final = 20_000
"""States, each at one place; a tenth of a second."""

MOST_LEVELS: Final = 100
"""Of arrays and objects, and of blocks."""

MOST_OF_A_CONDITION: Final = 500
"""Characters of a condition."""

_FOLLOWED: Final = frozenset(
    {"if", "elif", "else", "endif", "for", "endfor", "set", "with", "endwith", "raw", "endraw"}
)
_SCALAR: Final = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null")
_IN_STRING: Final = re.compile(r'(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*')
_FOR: Final = re.compile(r"for\s+(.+?)\s+in\s+(.+?)(?:\s+if\s+(.+?))?(?:\s+recursive)?", re.DOTALL)
_SPACE: Final = " \t\n\r"
_NEEDED: Final = {
    "value": "a value",
    "value or ]": "a value or ]",
    "key or }": "a name in quotes or }",
    "key": "a name in quotes",
    ":": "a colon",
    "next": "a comma or the end of the array or object",
    "done": "the end of the body",
}


@dataclass(frozen=True, slots=True)
class _State:
    """The position of a parser: what it needs next, inside which arrays and objects.

    ``string`` is what it needs after the string that it is in, or empty.
    """

    needs: str = "value"
    inside: tuple[str, ...] = ()
    string: str = ""
    facts: Facts = frozenset()


@dataclass(slots=True)
class _Text:
    text: str
    start: int


@dataclass(slots=True)
class _Print:
    start: int


@dataclass(slots=True)
class _If:
    branches: list[tuple[Condition | None, list["_Node"]]]


@dataclass(slots=True)
class _For:
    subject: str
    targets: frozenset[str]
    body: list["_Node"] = field(default_factory=list)
    otherwise: list["_Node"] = field(default_factory=list)
    is_filtered: bool = False


_Node = _Text | _Print | _If | _For


class _NotFollowedError(Exception):
    """The source has something that the proof does not follow."""


class _NotJsonError(Exception):
    """There is a way on which the body is not JSON."""

    def __init__(self, place: int, state: _State) -> None:
        super().__init__()
        self.place = place
        self.needs = _NEEDED[state.needs] if not state.string else "the end of a string"


def unproved(source: str) -> list[Problem]:
    """Return the first place at which a JSON body is not JSON for some values."""
    try:
        nodes, asked = _nodes(source)
        _Proof(asked).require(nodes, len(source))
    except _NotFollowedError:
        return []
    except _NotJsonError as error:
        message = (
            f"the body is not valid JSON for some values: {error.needs} is missing here, with a "
            "condition or loop before it taken another way; move commas into the condition; "
            "between items of a loop write {% if not loop.last %},{% endif %}, and leave items "
            "out by the loop itself, as in {% for item in items if item.shown %}"
        )
        return [placed("body", "json", message, source, min(error.place, len(source) - 1))]
    return []


def _nodes(source: str) -> tuple[list[_Node], Counter[str]]:
    """Return the source as a tree, and how often its conditions and loops ask for each name."""
    top: list[_Node] = []
    stack: list[tuple[str, _If | _For]] = []
    into = top
    changing: set[str] = set()
    asked: Counter[str] = Counter()
    last = 0
    for tag in tags(source):
        if source[last : tag.start]:
            into.append(_Text(source[last : tag.start], last))
        last = tag.end
        if tag.kind is Kind.COMMENT:
            continue
        if tag.kind is Kind.PRINT:
            into.append(_Print(tag.start))
            continue
        _require_followed(tag, len(stack))
        if tag.word in {"set", "with"}:
            changing |= words(tag.inner.partition("=")[0]) | words(tag.inner.partition(".")[0])
        if tag.word in {"if", "elif", "for"}:
            asked.update(words(tag.inner.removeprefix(tag.word)))
        into = _block(tag, stack, into, top)
    if source[last:]:
        into.append(_Text(source[last:], last))
    if stack or not changing.isdisjoint(asked):
        raise _NotFollowedError
    return top, asked


def _require_followed(tag: Tag, levels: int) -> None:
    is_capture = tag.word == "set" and "=" not in tag.inner
    is_large = len(tag.inner) > MOST_OF_A_CONDITION or levels > MOST_LEVELS
    if tag.word not in _FOLLOWED or is_capture or is_large:
        raise _NotFollowedError


def _block(
    tag: Tag, stack: list[tuple[str, _If | _For]], into: list[_Node], top: list[_Node]
) -> list[_Node]:
    """Note a block of the source; return where what follows belongs."""
    match tag.word:
        case "if":
            body: list[_Node] = []
            node = _If([(parsed(tag.inner.removeprefix("if")), body)])
            into.append(node)
            stack.append(("if", node))
            return body
        case "for":
            match = _FOR.fullmatch(tag.inner)
            if match is None:
                raise _NotFollowedError
            loop = _For(normal(match[2]), frozenset(words(match[1])), is_filtered=bool(match[3]))
            into.append(loop)
            stack.append(("for", loop))
            return loop.body
        case "elif" | "else":
            if not stack:
                raise _NotFollowedError
            opened = stack[-1][1]
            if isinstance(opened, _For):
                return opened.otherwise
            condition = parsed(tag.inner.removeprefix("elif")) if tag.word == "elif" else None
            opened.branches.append((condition, []))
            return opened.branches[-1][1]
        case "endif" | "endfor":
            if not stack or tag.word != f"end{stack[-1][0]}":
                raise _NotFollowedError
            stack.pop()
            return _innermost(stack, top)
    return into


def _innermost(stack: Sequence[tuple[str, _If | _For]], top: list[_Node]) -> list[_Node]:
    if not stack:
        return top
    node = stack[-1][1]
    if isinstance(node, _If):
        return node.branches[-1][1]
    return node.otherwise or node.body


class _Proof:
    """Goes through the ways of a source.

    Parameters
    ----------
    asked
        How often conditions and loops ask for each name. What only one asks for need not be
        remembered.
    """

    def __init__(self, asked: Counter[str]) -> None:
        self._steps = MOST_STEPS
        self._remembered = {name for name, count in asked.items() if count > 1} | {"loop"}

    def require(self, nodes: Iterable[_Node], end: int) -> None:
        """Make sure that every way gives one document.

        Raises
        ------
        _NotJsonError
            One does not; ``end`` is the end of the source.
        """
        for state in self._run(nodes, {_State()}):
            if state.needs != "done":
                raise _NotJsonError(end, state)

    def _kept(self, facts: Facts) -> Facts:
        return frozenset(fact for fact in facts if not self._remembered.isdisjoint(words(fact[0])))

    def _run(self, nodes: Iterable[_Node], states: set[_State]) -> set[_State]:
        for node in nodes:
            match node:
                case _Text():
                    states = {_read(node, state) for state in states}
                case _Print():
                    states = {_print(node, state) for state in states}
                case _If():
                    states = {after for state in states for after in self._choose(node, state)}
                case _For():
                    states = {after for state in states for after in self._repeat(node, state)}
            self._steps -= len(states)
            if len(states) > MOST_STATES or self._steps < 0:
                raise _NotFollowedError
        return states

    def _choose(self, node: _If, state: _State) -> Iterator[_State]:
        open_ = {state.facts}
        for condition, body in node.branches:
            if condition is None:
                yield from self._run(body, {replace(state, facts=facts) for facts in open_})
                return
            taken: set[Facts] = set()
            left: set[Facts] = set()
            for facts in open_:
                for holds, after in outcomes(condition, facts):
                    if not _is_impossible(after):
                        (taken if holds else left).add(self._kept(after))
            yield from self._run(body, {replace(state, facts=facts) for facts in taken})
            open_ = left
        yield from (replace(state, facts=facts) for facts in open_)

    def _repeat(self, node: _For, state: _State) -> Iterator[_State]:
        known = dict(state.facts).get(node.subject)
        if known is not True or node.is_filtered:
            facts = state.facts
            if not node.is_filtered:
                facts = self._kept(assumed(node.subject, facts, holds=False))
            yield from self._run(node.otherwise, {replace(state, facts=facts)})
        if known is False:
            return
        facts = self._kept(assumed(node.subject, state.facts, holds=True))
        outer = replace(state, facts=facts)
        yield from self._leave(node, outer, self._iterate(node, {outer}, first=True, last=True))
        reached = self._iterate(node, {outer}, first=True, last=False)
        seen = set(reached)
        while reached:
            reached = self._iterate(node, reached, first=False, last=False) - seen
            seen |= reached
            if len(seen) > MOST_STATES:
                raise _NotFollowedError
        yield from self._leave(node, outer, self._iterate(node, seen, first=False, last=True))

    def _iterate(self, node: _For, states: set[_State], *, first: bool, last: bool) -> set[_State]:
        own = node.targets | {"loop"}
        about_loop = of_loop(first=first, last=last)
        begun = {
            replace(
                state,
                facts=frozenset({**dict(without(state.facts, own)), **about_loop}.items()),
            )
            for state in states
        }
        return self._run(node.body, begun)

    def _leave(self, node: _For, outer: _State, states: set[_State]) -> Iterator[_State]:
        own = node.targets | {"loop"}
        shadowed = frozenset(fact for fact in outer.facts if not own.isdisjoint(words(fact[0])))
        for state in states:
            yield replace(state, facts=without(state.facts, own) | shadowed)


def _is_impossible(facts: Facts) -> bool:
    return any(holds and contradicts(text, facts) for text, holds in facts)


def _print(node: _Print, state: _State) -> _State:
    if state.string:
        return state
    if state.needs in {"key", "key or }"}:
        return replace(state, needs=":")
    return _after_value(state, node.start)


def _after_value(state: _State, place: int) -> _State:
    if state.needs not in {"value", "value or ]"}:
        raise _NotJsonError(place, state)
    return replace(state, needs="next" if state.inside else "done")


def _read(node: _Text, state: _State) -> _State:
    text, position = node.text, 0
    while position < len(text):
        if state.string:
            match = _IN_STRING.match(text, position)
            position = match.end() if match else position
            if position < len(text):
                if text[position] != '"':
                    raise _NotJsonError(node.start + position, state)
                state = replace(state, needs=state.string, string="")
                position += 1
            continue
        character = text[position]
        if character in _SPACE:
            position += 1
            continue
        match = _SCALAR.match(text, position)
        if match is not None:
            state = _after_value(state, node.start + position)
            position = match.end()
            continue
        state = _step(character, state, node.start + position)
        position += 1
    return state


def _step(character: str, state: _State, place: int) -> _State:
    """Return the state after a character that is neither space nor part of a scalar."""
    needs, inside = state.needs, state.inside
    if needs in {"key", "key or }"} and character == '"':
        return replace(state, string=":")
    if needs in {"value", "value or ]"}:
        if character == '"':
            return replace(state, string="next" if inside else "done")
        if character in "[{":
            if len(inside) > MOST_LEVELS:
                raise _NotFollowedError
            first = "value or ]" if character == "[" else "key or }"
            return replace(state, needs=first, inside=(*inside, character))
    closing = {"key or }": "}", "value or ]": "]"}.get(needs)
    if needs == "next":
        closing = "}" if inside[-1] == "{" else "]"
    if character == closing:
        return _closed(state)
    following = {":": "value", "next": "key" if inside[-1:] == ("{",) else "value"}.get(needs)
    if following is None or character != (":" if needs == ":" else ","):
        raise _NotJsonError(place, state)
    return replace(state, needs=following)


def _closed(state: _State) -> _State:
    inside = state.inside[:-1]
    return replace(state, inside=inside, needs="next" if inside else "done")
