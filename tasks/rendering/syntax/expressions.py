"""Reads expressions as MiniJinja's parser does: the same precedence, the same postfixes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from tasks.rendering.paths import can_be_quoted
from tasks.rendering.syntax.nodes import (
    Argument,
    Binary,
    Call,
    Collection,
    Compared,
    Comparison,
    Condition,
    Filter,
    Index,
    Literal,
    Member,
    Name,
    Node,
    Test,
    Unary,
)
from tasks.rendering.syntax.tokens import Token, UnreadableError, number_of, text_of, tokens

DEEPEST: Final = 150
"""Levels of an expression; the engine's parser has the same limit."""

CONSTANTS: Final = {
    "true": True,
    "True": True,
    "false": False,
    "False": False,
    "none": None,
    "None": None,
}
_COMPARING: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})
# From the one that binds least; each with the operators of its level.
_ARITHMETIC: Final = (("+", "-"), ("~",), ("*", "/", "//", "%"), ("**",))
_ATOMS: Final = frozenset({"name", "number", "text"})
_CLOSING: Final = frozenset({"", ")", ",", "]", "}"})
_ENDING: Final = frozenset({"end", "sign"})
_ENDS_A_TEST: Final = frozenset({"and", "or", "else", "is"})


class Reader:
    """Reads the tokens of one tag.

    Every method that reads raises :class:`UnreadableError` where it cannot.
    """

    def __init__(self, source: str, start: int, end: int) -> None:
        self._tokens: Sequence[Token] = tokens(source, start, end)
        self._next = 0
        self._depth = 0
        self.count = len(self._tokens)

    @property
    def token(self) -> Token:
        """The next token."""
        return self._tokens[self._next]

    def advance(self) -> Token:
        """Return the next token, and go past it."""
        token = self._tokens[self._next]
        self._next += token.kind != "end"
        return token

    def is_at(self, *texts: str) -> bool:
        """Return whether the next token is a sign or name among ``texts``."""
        token = self._tokens[self._next]
        return token.text in texts and token.kind in {"sign", "name"}

    def skip(self, text: str) -> bool:
        """Go past the next token if it is ``text``."""
        if self.is_at(text):
            self.advance()
            return True
        return False

    def require(self, text: str) -> Token:
        """Go past the next token, which must be ``text``."""
        if not self.is_at(text):
            raise UnreadableError
        return self.advance()

    def name(self) -> Token:
        """Return the next token, which must be a name."""
        if self.token.kind != "name":
            raise UnreadableError
        return self.advance()

    def finish(self) -> None:
        """Require that nothing is left."""
        if self.token.kind != "end":
            raise UnreadableError

    def expression(self) -> Node:
        """Read an expression."""
        following = self._tokens[self._next + 1] if self.token.kind in _ATOMS else None
        if following is not None and following.text in _CLOSING and following.kind in _ENDING:
            # Most expressions are a name or a literal, and the way down is long.
            return self._primary()
        self._depth += 1
        if self._depth > DEEPEST:
            raise UnreadableError
        node = self.no_condition()
        while self.skip("if"):
            test = self.no_condition()
            other = self.expression() if self.skip("else") else None
            node = Condition(node.start, self._end(), node, test, other)
        self._depth -= 1
        return node

    def no_condition(self) -> Node:
        """Read an expression that an ``if`` ends."""
        return self._junction("or", lambda: self._junction("and", self._negation))

    def filters(self) -> Node:
        """Read filters that a block is put through."""
        node: Node | None = None
        while node is None or self.skip("|"):
            node = self._filter(node)
        return node

    def arguments(self) -> tuple[Argument, ...]:
        """Read arguments in parentheses."""
        self.require("(")
        found: list[Argument] = []
        while not self.skip(")"):
            if found:
                self.require(",")
                if self.skip(")"):
                    break
            if not self.skip("**"):
                self.skip("*")
            value = self.expression()
            if isinstance(value, Name) and self.skip("="):
                found.append(Argument(value.name, self.expression()))
            else:
                found.append(Argument(None, value))
        return tuple(found)

    def _end(self) -> int:
        return self._tokens[self._next - 1].end

    def _junction(self, operator: str, read: Callable[[], Node]) -> Node:
        node = read()
        while self.is_at(operator):
            place = self.advance().start
            right = read()
            node = Binary(node.start, right.end, operator, node, right, place)
        return node

    def _negation(self) -> Node:
        if not self.is_at("not"):
            return self._comparison()
        start = self.advance().start
        self._depth += 1
        if self._depth > DEEPEST:
            raise UnreadableError
        of = self._negation()
        self._depth -= 1
        return Unary(start, self._end(), "not", of)

    def _comparison(self) -> Node:
        first = self._arithmetic(0)
        rest = []
        while (token := self.token).kind != "text":
            sign = token.text
            if sign == "not":
                self.advance()
                self.require("in")
                sign = "not in"
            elif sign in _COMPARING or sign == "in":
                self.advance()
            else:
                break
            rest.append(Compared(sign, token.start, self._end(), self._arithmetic(0)))
        return Comparison(first.start, self._end(), first, tuple(rest)) if rest else first

    def _arithmetic(self, level: int) -> Node:
        if level == len(_ARITHMETIC):
            return self._unary()
        node = self._arithmetic(level + 1)
        while self.token.kind == "sign" and self.token.text in _ARITHMETIC[level]:
            operator = self.advance()
            right = self._arithmetic(level + 1)
            node = Binary(node.start, self._end(), operator.text, node, right, operator.start)
        return node

    def _unary(self) -> Node:
        node = self._postfixes(self._signed())
        while self.is_at("|", "is"):
            node = self._filter(node) if self.skip("|") else self._test(node)
        return node

    def _signed(self) -> Node:
        if not self.is_at("-"):
            return self._primary()
        start = self.advance().start
        self._depth += 1
        if self._depth > DEEPEST:
            raise UnreadableError
        of = self._signed()
        self._depth -= 1
        return Unary(start, self._end(), "-", of)

    def _postfixes(self, node: Node) -> Node:
        while True:
            if self.skip("."):
                step = self.advance()
                if step.kind == "name":
                    node = Member(node.start, step.end, node, step.text)
                elif step.kind == "number":
                    key = Literal(step.start, step.end, number_of(step.text))
                    node = Index(node.start, step.end, node, (key,))
                else:
                    raise UnreadableError
            elif self.is_at("["):
                node = self._subscript(node)
            elif self.is_at("("):
                arguments = self.arguments()
                node = Call(node.start, self._end(), node, arguments)
            else:
                return node

    def _subscript(self, node: Node) -> Node:
        marks = [self.require("[").start]
        keys = []
        while not self.is_at("]"):
            if self.is_at(":"):
                marks.append(self.advance().start)
            else:
                keys.append(self.expression())
        is_slice = len(marks) > 1
        marks.append(self.require("]").start)
        if not is_slice and len(keys) != 1:
            raise UnreadableError
        key = keys[0] if keys and not is_slice else None
        if isinstance(key, Literal) and isinstance(key.value, str) and can_be_quoted(key.value):
            return Member(node.start, self._end(), node, key.value)
        return Index(node.start, self._end(), node, tuple(keys), is_slice, tuple(marks))

    def _filter(self, of: Node | None) -> Node:
        name = self._dotted()
        arguments = self.arguments() if self.is_at("(") else ()
        start = name.start if of is None else of.start
        return Filter(start, self._end(), of, name.text, arguments)

    def _test(self, of: Node) -> Node:
        self.require("is")
        negated = self.skip("not")
        name = self._dotted()
        token = self.token
        arguments: tuple[Argument, ...] = ()
        if self.is_at("("):
            arguments = self.arguments()
        elif (token.kind in {"name", "text", "number"} or self.is_at("+", "-", "[", "{")) and not (
            token.kind == "name" and token.text in _ENDS_A_TEST
        ):
            arguments = (Argument(None, self._postfixes(self._signed())),)
        return Test(of.start, self._end(), of, name.text, arguments, negated)

    def _dotted(self) -> Token:
        first = last = self.name()
        text = first.text
        while self.skip("."):
            last = self.name()
            text += f".{last.text}"
        return Token("name", text, first.start, last.end)

    def _primary(self) -> Node:  # noqa: PLR0911 - one for each kind of token
        token = self.advance()
        match token.kind, token.text:
            case "name", text if text in CONSTANTS:
                return Literal(token.start, token.end, CONSTANTS[text])
            case "name", text:
                return Name(token.start, token.end, text)
            case "number", text:
                return Literal(token.start, token.end, number_of(text))
            case "text", text:
                said = text_of(text)
                while self.token.kind == "text":
                    said += text_of(self.advance().text)
                return Literal(token.start, self._end(), said)
            case "sign", "(":
                return self._parenthesised(token)
            case "sign", "[":
                return self._collected(token, "]")
            case "sign", "{":
                return self._collected(token, "}")
        raise UnreadableError

    def _parenthesised(self, opening: Token) -> Node:
        if self.skip(")"):
            return Collection(opening.start, self._end(), ())
        node = self.expression()
        if self.skip(")"):
            return replace(node, start=opening.start, end=self._end())
        self.require(",")
        rest = self._collected(opening, ")")
        assert isinstance(rest, Collection)  # noqa: S101 - for the type checker
        return Collection(opening.start, rest.end, (node, *rest.items))

    def _collected(self, opening: Token, closing: str) -> Node:
        items: list[Node] = []
        while not self.skip(closing):
            if items:
                self.require(",")
                if self.skip(closing):
                    break
            items.append(self.expression())
            if closing == "}":
                self.require(":")
                items.append(self.expression())
        return Collection(opening.start, self._end(), tuple(items))
