"""Static inspection of a source: its placeholders and problems.

It runs in the render process (:mod:`tasks.rendering.process`), where the engine compiles.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from minijinja import Environment, TemplateError

from tasks.errors import Problem
from tasks.rendering.checks.captures import misused
from tasks.rendering.checks.lost_sets import lost_sets
from tasks.rendering.checks.pointless import always_true
from tasks.rendering.checks.quoted import quoted
from tasks.rendering.checks.slices import without_slices
from tasks.rendering.checks.unclosed import unclosed
from tasks.rendering.explain import SourceError
from tasks.rendering.hints.unknown_names import of_unknown
from tasks.rendering.html.contexts import markup_in_attributes, unsafe_prints
from tasks.rendering.partials import uses, with_needs
from tasks.rendering.places import Fault, placed
from tasks.rendering.render_names import RENDER_NAMES
from tasks.rendering.syntax import nodes
from tasks.rendering.syntax.blocks import tree
from tasks.rendering.syntax.walk import assigned, blocks, every, printed
from tasks.rendering.tags import code, prepared, tags
from tasks.rendering.usage.inference import names_of
from tasks.rendering.usage.scopes import printed_nodes
from tasks.rendering.usage.uses import uses_of

# Wherever it is, a comment or raw block too: telling those apart from strings that look like
# them would take the engine's own lexer, and a mistake in it would switch escaping off.
_AUTOESCAPE: Final = re.compile(r"\{%[-+]?\s*(autoescape)\b")
_NOTHING: Final = ("NULL", "Null", "nil", "null", "undefined")
_REMEDIES: Final[Mapping[str, str]] = {
    **dict.fromkeys(_NOTHING, "write none, as in {% if name is none %}, or ask with {% if name %}"),
    "FALSE": "write false",
    "TRUE": "write true",
    "forloop": "the number of a loop is loop.index, and loop.first and loop.last tell its ends",
    **dict.fromkeys(
        ("endblock", "endfor", "endif", "endset"),
        "blocks end with {% endif %}, {% endfor %} and so on",
    ),
    **dict.fromkeys(
        ("elif", "else"), "conditions belong in {% if name %} … {% else %} … {% endif %}"
    ),
    "not": "put it in brackets, as in 1 + (not x)",
    **dict.fromkeys(("and", "is", "or"), "a value is missing here"),
}
"""What to write instead of words that the engine takes for names of variables where it expects a
value, and that no author would choose for one."""
_VALUES: Final = frozenset({*_NOTHING, "FALSE", "TRUE"})
_NAMES_OF_THE_ENGINE: Final = frozenset({"caller", "loop", "self", "super"})
_USED: Final = {
    "filter": re.compile(r"(?:\||\{%[-+]?\s*filter\s)\s*([A-Za-z_]\w*)"),
    "test": re.compile(r"\bis\s+(?:not\s+)?([A-Za-z_]\w*)"),
}


def names_of_the_engine(environment: Environment) -> frozenset[str]:
    """Return the names that a source may use and that are not variables."""
    return _NAMES_OF_THE_ENGINE | RENDER_NAMES | frozenset(environment.globals)


def refuse_autoescape(source: str, path: str) -> None:
    """Make sure that a source leaves escaping to the type of its template.

    Raises
    ------
    SourceError
        It has an ``autoescape`` block.
    """
    if match := _AUTOESCAPE.search(source):
        message = "autoescape is not available: escaping follows the type of the template"
        raise SourceError.syntax(path, "autoescape", message, source, match.start(1))


def placeholders(
    environment: Environment, source: str, needs: Mapping[str, list[str]]
) -> list[str]:
    """Return the sorted names that a source takes from its variables, as paths.

    ``needs`` holds the placeholders of the partials that it uses, by their ids.

    Raises
    ------
    minijinja.TemplateError
        It does not compile.
    """
    # By itself first: what is put in for partials would move the places of errors.
    environment.undeclared_variables_in_str(prepared(source))
    completed = with_needs(source, needs)
    not_values = names_of_the_engine(environment)
    uses = uses_of([completed], {}, not_values)
    if uses is not None:
        return sorted(names_of(uses))
    names = environment.undeclared_variables_in_str(
        prepared(without_slices(completed)), nested=True
    )
    own = {name for name in names if name.split(".")[0] not in not_values}
    return sorted(_without_methods(own, source))


def problems(environment: Environment, source: str, path: str, *, html: bool) -> Iterator[Problem]:
    """Yield the problems of a source that compiles.

    Unknown filters and tests, which the engine looks up only when it calls them;
    words such as ``not`` where a value belongs, which the engine takes for names of variables;
    tags that use partials in unsupported ways; marks of tags without their counterparts;
    and in HTML, prints where no escaping keeps a value from being read as markup.
    """
    yield from _unknown(environment, source, path)
    for word in _misplaced_words(source):
        said = "is not a value here" if word.name in _VALUES else "is where a value belongs"
        message = f"'{word.name}' {said}: {_REMEDIES[word.name]}"
        yield placed(path, "syntax_error", message, source, word.start)
    for name in _uncalled(source):
        message = f"'{name.name}' is a macro: call it, as in {{{{ {name.name}() }}}}"
        if name.name == "loop":
            message = "'loop' has no text: print one of its members, such as loop.index"
        yield placed(path, "syntax_error", message, source, name.start)
    for use in uses(source):
        if use.partial is None:
            yield placed(path, "partial", use.problem, source, use.start)
    for mark in unclosed(source, html=html):
        yield placed(path, "unclosed", mark.message, source, mark.start)
    yield from (
        placed(path, kind, each.message, source, each.start)
        for kind, found in (
            ("quoted", quoted(source)),
            ("always_true", always_true(source)),
            ("lost_set", lost_sets(source)),
            ("syntax_error", _recursions(source)),
        )
        for each in found
    )
    for misuse in misused(source) if html else ():
        if misuse.filter and not _knows(environment, "filter", misuse.filter):
            continue  # reported above
        yield placed(path, "markup", misuse.message, source, misuse.start)
    for unsafe in (*unsafe_prints(source), *markup_in_attributes(source)) if html else ():
        yield placed(path, "unsafe_placeholder", unsafe.message, source, unsafe.start)


def _unknown(environment: Environment, source: str, path: str) -> Iterator[Problem]:
    known: dict[tuple[str, str], bool] = {}
    for start, inside in code(source):
        for kind, pattern in _USED.items():
            for match in pattern.finditer(inside):
                name = match[1]
                if (kind, name) not in known:
                    known[kind, name] = _knows(environment, kind, name)
                if not known[kind, name]:
                    message = of_unknown(kind, name)
                    yield placed(path, f"unknown_{kind}", message, source, start + match.start(1))


def _misplaced_words(source: str) -> Iterator[nodes.Name]:
    for node in every(tree(source) or ()):
        if isinstance(node, nodes.Name) and node.name in _REMEDIES:
            yield node


def _uncalled(source: str) -> Iterator[nodes.Name]:
    """Yield the macros that a source prints without a call, which would show ``<macro name>``."""
    parts = tree(source) or ()
    found = list(blocks(parts))
    macros = {"caller", "loop", *(block.name for block in found if block.word == "macro")}
    macros -= {target.name for block in found for target in block.targets} | set(assigned(parts))
    for printed_value in printed(parts):
        for node in printed_nodes(printed_value):
            if isinstance(node, nodes.Name) and node.name in macros:
                yield node


def _recursions(source: str) -> Iterator[Fault]:
    """Yield the calls of ``loop`` in a source without a recursive loop."""
    message = "this loop is not recursive: write {% for item in items recursive %}"
    may_be = "loop(" in source and "recursive" not in source
    for node in every(tree(source) or ()) if may_be else ():
        match node:
            case nodes.Call(of=nodes.Name(name="loop")):
                yield Fault(node.start, message)


def _knows(environment: Environment, kind: str, name: str) -> bool:
    if name.startswith("__"):
        return False  # the service's own
    try:
        environment.eval_expr(f"1|{name}" if kind == "filter" else f"1 is {name}")
    except TemplateError as error:
        return error.kind not in ("UnknownFilter", "UnknownTest")
    except Exception:  # noqa: BLE001 - it is there, and does not like the 1
        return True
    return True


def _without_methods(names: set[str], source: str) -> set[str]:
    """Return ``names`` with ``user.name`` for the ``user.name.upper`` that the source calls."""
    inside = "\n".join(tag.inner for tag in tags(source))
    result = set()
    for name in names:
        parent, _, _ = name.rpartition(".")
        call = r"\b" + r"\s*\.\s*".join(re.escape(step) for step in name.split(".")) + r"\s*\("
        result.add(parent if parent and re.search(call, inside) else name)
    return result
