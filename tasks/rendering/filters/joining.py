"""The operator ``~`` and the filter ``join``: values become a text.

The engine makes plain text of all, also of markup, and of objects, arrays and booleans, as Python
writes them.
"""

from collections.abc import Callable
from html import escape
from typing import Any

from minijinja import safe

from tasks.rendering.filters.guards import MissingError, engine
from tasks.rendering.filters.text_filters import require_text
from tasks.rendering.markup_values import is_markup
from tasks.rendering.values import MISSING


def joiner(*, escapes: bool) -> Callable[..., str]:
    """Return what ``~`` does.

    Pieces of markup stay markup with ``escapes``, and what is next to them is escaped. The engine
    is asked how it writes values other than texts and whole numbers.
    """
    evaluate = engine(escapes=False).eval_expr

    def text(value: Any) -> str:  # noqa: ANN401 - any value of a template
        kind = type(value)
        if kind is str or kind is int:
            return str(value)
        if value is None or value is MISSING:
            raise MissingError("a value is missing")
        require_text(value)
        return str(evaluate("value ~ ''", value=value))

    def call(*values: Any) -> str:  # noqa: ANN401 - any value of a template
        if not (escapes and any(map(is_markup, values))):
            return "".join(map(text, values))
        return safe(
            "".join(str(each) if is_markup(each) else escape(text(each)) for each in values)
        )

    return call


def members_joined(join: Callable[..., Any], members: Callable[..., Any]) -> Callable[..., Any]:
    """Return the filter ``join``, which takes an attribute of the items as Jinja2's does.

    ``members`` is the filter ``map``. The engine's own ignores the attribute.
    """

    def call(value: Any = None, *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401 - any value of a template
        attribute = keywords.pop("attribute", None)
        if attribute is None and len(arguments) == 2:  # noqa: PLR2004 - the separator is first
            *arguments, attribute = arguments  # type: ignore[assignment]
        if attribute is not None and value is not None:
            value = list(members(value, attribute=attribute))
        return join(value, *arguments, **keywords)

    return call
