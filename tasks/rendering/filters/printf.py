"""The filter ``format``, whose decimals are those that were written: ``'%.2f' | format(2.675)``.

The engine formats numbers in binary, writes ``1e+22`` where a print does not, and refuses a number
that it cannot hold.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from tasks.rendering.locale_filters import InputError
from tasks.rendering.numbers import Exact

_SPEC: Final = re.compile(r"%([-+ 0#]*)(\d*)(?:\.(\d+))?[hlL]?([a-zA-Z%])")
_MOST_DIGITS: Final = 100


def formatter(own: Callable[..., Any], written: Callable[[Any], str]) -> Callable[..., Any]:
    """Return the filter; ``own`` is the engine's, ``written`` the text that a print has."""

    def call(value: Any = None, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - any value of a template
        if not isinstance(value, str) or not any(
            isinstance(each, float | Exact) for each in arguments
        ):
            return own(value, *arguments, **named)
        left = list(arguments)
        given: list[Any] = []

        def replaced(match: re.Match[str]) -> str:
            if match[4] == "%" or not left:
                return match[0]
            argument = left.pop(0)
            text = _text(argument, match, written) if isinstance(argument, float | Exact) else None
            given.append(argument if text is None else text)
            return match[0] if text is None else "%s"

        pattern = _SPEC.sub(replaced, value)
        return own(pattern, *given, *left, **named)

    return call


def _text(number: float | Exact, match: re.Match[str], written: Callable[[Any], str]) -> str | None:
    """Return what a placeholder gives of a number, or None where the engine knows."""
    flags, width, precision, kind = match.groups()
    exact = (number if isinstance(number, Exact) else Exact(number)).number
    if int(width or 0) > _MOST_DIGITS or int(precision or 0) > _MOST_DIGITS:
        raise InputError(f"format: expected at most {_MOST_DIGITS} digits")
    if kind == "s":
        return f"{written(number)[: int(precision) if precision else None]:{_align(flags)}{width}}"
    sign = next((each for each in "+ " if each in flags), "")
    fill = "0" if "0" in flags and "-" not in flags else ""
    layout = f"{'<' if '-' in flags else ''}{sign}{fill}{width}"
    if kind in {"f", "F"}:
        return f"{exact:{layout}.{precision or 6}f}"
    if kind in {"d", "i", "u"}:
        if exact != exact.to_integral_value():
            raise InputError(f"format: %{kind} takes a whole number: apply the filter round or int")
        return f"{int(exact):{layout}}"
    return (
        None if isinstance(number, float) else f"{Decimal(exact):{layout}.{precision or 6}{kind}}"
    )


def _align(flags: str) -> str:
    return "<" if "-" in flags else ">"
