"""Role facts from the SQL of ``pg_dumpall``, which earlier versions of this service stored.

Nothing of the file is executed. It is split by PostgreSQL's lexical rules, and each statement must
have one of the forms that pg_dumpall writes, in the section of the file where it writes them: old
versions of pg_dumpall repeat names of roles in comments, line breaks included.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from db.backup.roles import (
    Membership,
    ParameterGrant,
    Privilege,
    RoleFacts,
    RoleSetting,
    ServerRoles,
)
from db.errors import Kind, OperationError

_SHOWN: Final = 6  # words of a refused statement, without its literals
# https://www.postgresql.org/docs/current/sql-syntax-lexical.html
_TOKEN: Final = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<comment>--[^\n]*)
    | (?P<meta>\\(?:un)?restrict\ [0-9A-Za-z]+(?=\n|$))
    | (?P<escaped>[eE]'(?:[^'\\]|''|\\.)*')
    | (?P<literal>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")+")
    | (?P<word>[^\W\d][\w$]*)
    | (?P<number>-?\d+)
    | (?P<sign>[;,=.])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(.)|''", re.DOTALL)
_FLAGS: Final = {
    "SUPERUSER": "superuser",
    "CREATEROLE": "create_role",
    "REPLICATION": "replication",
    "BYPASSRLS": "bypass_rls",
    "INHERIT": "inherit",
    "CREATEDB": "create_db",
    "LOGIN": "login",
}
_OPTIONS: Final = {"ADMIN": "admin", "INHERIT": "inherit", "SET": "set"}
# Session settings at the beginning of the file. With another value the rules above are wrong.
_HEADER: Final = {
    "default_transaction_read_only": "off",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "escape_string_warning": "off",
}


_SECTIONS: Final = (
    "-- Roles",
    "-- User Configurations",
    "-- Role memberships",
    "-- Role privileges on configuration parameters",
)
_ROLES, _CONFIGURATIONS, _MEMBERSHIPS, _PARAMETERS = range(len(_SECTIONS))


class _Token(NamedTuple):
    kind: Literal["name", "quoted", "literal", "number", "sign"]
    text: str


class _UnknownFormError(Exception):
    """A statement has another form than expected."""


def parse_roles_sql(text: str) -> ServerRoles:
    """Return the facts that the statements of pg_dumpall state.

    Raises OperationError: ``archive_unreadable``: the file has another statement.
    """
    if "\0" in text:  # the facts have none, and neither does the output of pg_dumpall
        raise _refusal([])
    found = _Found()
    for section, statement in _statements(text):
        try:
            found.add(_Reader(statement), section)
        except (_UnknownFormError, KeyError):
            raise _refusal(statement) from None
    return ServerRoles(
        roles=tuple(RoleFacts(**facts) for facts in found.roles.values()),
        memberships=tuple(found.memberships),
        settings=tuple(found.settings),
        parameters=tuple(found.parameters),
    )


@dataclass(slots=True)
class _Found:
    """The facts of the statements so far."""

    roles: dict[str, dict[str, Any]] = field(default_factory=dict)
    memberships: list[Membership] = field(default_factory=list)
    settings: list[RoleSetting] = field(default_factory=list)
    parameters: list[ParameterGrant] = field(default_factory=list)

    def add(self, reader: "_Reader", section: int | None) -> None:
        """Add the facts of one statement."""
        match reader.word():
            case "SET":
                _header(reader)
            case "CREATE":
                _require(section, _ROLES)
                reader.expect("ROLE")
                name = reader.name()
                self.roles[name] = {"name": name}
            case "ALTER":
                reader.expect("ROLE")
                name = reader.name()
                if reader.accept("SET"):
                    _require(section, _CONFIGURATIONS)
                    self.settings.append(_setting(reader, name))
                else:
                    _require(section, _ROLES)
                    reader.expect("WITH")
                    self.roles[name] |= _attributes(reader)
            case "COMMENT":
                _require(section, _ROLES)
                reader.expect("ON", "ROLE")
                name = reader.name()
                reader.expect("IS")
                self.roles[name]["comment"] = reader.literal()
            case "GRANT" if reader.mentions("ON"):
                _require(section, _PARAMETERS)
                self.parameters += _parameter_grants(reader)
            case "GRANT":
                _require(section, _MEMBERSHIPS)
                self.memberships.append(_membership(reader))
            case _:
                raise _UnknownFormError
        reader.end()


class _Reader:
    """Reads the tokens of one statement from left to right."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._rest = tokens

    def word(self) -> str:
        """Return the next keyword, in capitals."""
        return self._next("name").upper()

    def name(self) -> str:
        """Return the next identifier, as the server stores it."""
        if self._is("quoted"):
            return self._next("quoted")
        return self._next("name").lower()

    def literal(self) -> str:
        """Return the value of the next string constant."""
        return self._next("literal")

    def number(self) -> int:
        """Return the next integer."""
        return int(self._next("number"))

    def value(self) -> str:
        """Return the next value of a setting."""
        for kind in ("literal", "number", "name"):
            if self._is(kind):
                return self._next(kind)
        raise _UnknownFormError

    def sign(self, text: str) -> bool:
        """Skip this sign if it comes next; return whether it did."""
        if self._is("sign") and self._rest[0].text == text:
            self._rest = self._rest[1:]
            return True
        return False

    def accept(self, word: str) -> bool:
        """Skip this keyword if it comes next; return whether it did."""
        if self._is("name") and self._rest[0].text.upper() == word:
            self._rest = self._rest[1:]
            return True
        return False

    def mentions(self, word: str) -> bool:
        """Return whether this reserved word follows somewhere."""
        return any(token.kind == "name" and token.text.upper() == word for token in self._rest)

    def expect(self, *words: str) -> None:
        """Skip these keywords, which must come next."""
        if not all(map(self.accept, words)):
            raise _UnknownFormError

    def has_more(self) -> bool:
        """Return whether there are more tokens."""
        return bool(self._rest)

    def end(self) -> None:
        """Refuse more tokens."""
        if self._rest:
            raise _UnknownFormError

    def _is(self, kind: str) -> bool:
        return bool(self._rest) and self._rest[0].kind == kind

    def _next(self, kind: str) -> str:
        if not self._is(kind):
            raise _UnknownFormError
        token, *self._rest = self._rest
        return token.text


def _require(section: int | None, wanted: int) -> None:
    if section not in {None, wanted}:
        raise _UnknownFormError


def _statements(text: str) -> Iterator[tuple[int | None, list[_Token]]]:
    """Yield each statement with the section that it is in, ``None`` before the first."""
    tokens: list[_Token] = []
    section: int | None = None
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or (match.lastgroup == "meta" and not _is_alone(text, place, tokens)):
            raise _refusal(tokens)
        place = match.end()
        kind = match.lastgroup
        if kind == "sign" and match[0] == ";":
            if tokens:
                yield section, tokens
            tokens = []
        elif kind == "comment" and match[0] in _SECTIONS:
            found = _SECTIONS.index(match[0])
            if tokens or (section is not None and found <= section):
                raise _refusal(tokens)
            section = found
        elif kind in _TOKENS:
            tokens.append(_TOKENS[kind](match[0]))
    if tokens:
        raise _refusal(tokens)


def _is_alone(text: str, place: int, tokens: list[_Token]) -> bool:
    """Return whether a command of psql stands at the start of a line, between two statements."""
    return not tokens and (place == 0 or text[place - 1] == "\n")


def _unescaped(text: str) -> str:
    # pg_dumpall doubles backslashes and quotes, and escapes nothing else.
    def plain(match: re.Match[str]) -> str:
        if match[1] not in {None, "\\", "'"}:
            raise _refusal([])
        return match[1] or "'"

    return _ESCAPE.sub(plain, text[2:-1])


_TOKENS: Final[dict[str | None, Callable[[str], _Token]]] = {
    "word": lambda text: _Token("name", text),
    "quoted": lambda text: _Token("quoted", text[1:-1].replace('""', '"')),
    "literal": lambda text: _Token("literal", text[1:-1].replace("''", "'")),
    "escaped": lambda text: _Token("literal", _unescaped(text)),
    "number": lambda text: _Token("number", text),
    "sign": lambda text: _Token("sign", text),
}


def _header(reader: _Reader) -> None:
    name = reader.name()
    if not reader.sign("=") or _HEADER.get(name) != reader.value():
        raise _UnknownFormError


def _attributes(reader: _Reader) -> dict[str, Any]:
    found: dict[str, Any] = {}
    while reader.has_more():
        word = reader.word()
        if word in _FLAGS:
            found[_FLAGS[word]] = True
        elif word.removeprefix("NO") in _FLAGS:
            found[_FLAGS[word.removeprefix("NO")]] = False
        elif word == "CONNECTION":
            reader.expect("LIMIT")
            found["connection_limit"] = reader.number()
        elif word == "PASSWORD":
            found["password"] = reader.literal()
        elif word == "VALID":
            reader.expect("UNTIL")
            found["valid_until"] = reader.literal()
        else:
            raise _UnknownFormError
    return found


def _setting(reader: _Reader, role: str) -> RoleSetting:
    name = reader.name()
    while reader.sign("."):
        name += f".{reader.name()}"
    if not reader.sign("="):
        reader.expect("TO")
    values = [reader.value()]
    while reader.sign(","):
        values.append(reader.value())
    return RoleSetting(role=role, name=name, values=tuple(values))


def _membership(reader: _Reader) -> Membership:
    role = reader.name()
    reader.expect("TO")
    member = reader.name()
    options: dict[str, bool] = {}
    if reader.accept("WITH"):
        while True:
            option = _OPTIONS.get(reader.word())
            if option is None:
                raise _UnknownFormError
            options[option] = reader.accept("OPTION") or reader.accept("TRUE")
            if not options[option]:
                reader.expect("FALSE")
            if not reader.sign(","):
                break
    # From PostgreSQL 16 on only the bootstrap superuser may name another grantor, and the one of
    # this server may have another name.
    if reader.accept("GRANTED"):
        reader.expect("BY")
        reader.name()
    return Membership(role=role, member=member, **options)


def _parameter_grants(reader: _Reader) -> Iterator[ParameterGrant]:
    privileges: list[Privilege] = []
    while True:
        if reader.accept("ALL"):
            privileges += ["ALTER SYSTEM", "SET"]
        elif reader.accept("ALTER"):
            reader.expect("SYSTEM")
            privileges.append("ALTER SYSTEM")
        else:
            reader.expect("SET")
            privileges.append("SET")
        if not reader.sign(","):
            break
    reader.expect("ON", "PARAMETER")
    name = reader.name()
    while reader.sign("."):
        name += f".{reader.name()}"
    reader.expect("TO")
    role = reader.name()
    grantable = reader.accept("WITH")
    if grantable:
        reader.expect("GRANT", "OPTION")
    for privilege in privileges:
        yield ParameterGrant(role=role, name=name, privilege=privilege, grantable=grantable)


def _refusal(statement: list[_Token]) -> OperationError:
    words = " ".join(token.text for token in statement[:_SHOWN] if token.kind != "literal")
    return OperationError(
        Kind.ARCHIVE_UNREADABLE,
        f"the roles file has a statement that pg_dumpall does not write: {words or 'unreadable'} …",
        "use another backup, or create the roles by hand: template-service backup cat --roles",
    )
