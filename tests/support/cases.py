"""Tables of cases that are checked in one test.

``pytest.mark.parametrize`` makes a test of every row, and pytest spends more time on a test than
most rows take. :func:`each` goes through the rows in a loop, and names those that fail.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import pytest

Test = Callable[..., None]

MOST_SHOWN: Final = 5
"""Failures with their tracebacks. The others are counted."""


def each(names: str | Sequence[str], rows: Iterable[Any]) -> Callable[[Test], Test]:
    """Run a test for each row, as ``pytest.mark.parametrize`` does, but as one test.

    The rows share the fixtures of the test, so it must leave nothing behind that changes what the
    next row does. All rows run, even when one fails; a failure names its row.
    """
    keys = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    table = [_row(keys, row) for row in rows]

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        def run(*args: Any, **fixtures: Any) -> None:  # noqa: ANN401 - whatever fixtures give
            failures: list[BaseException] = []
            for label, values in table:
                try:
                    test(*args, **fixtures, **values)
                except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - raised below
                    error.add_note(f"the case was {label}")
                    failures.append(error)
            if len(failures) == 1:
                raise failures[0]
            if failures:
                summary = f"{len(failures)} of {len(table)} cases failed"
                raise BaseExceptionGroup(summary, failures[:MOST_SHOWN])

        signature = inspect.signature(test)
        others = [value for name, value in signature.parameters.items() if name not in keys]
        # pytest asks for fixtures by this signature.
        run.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
        return run

    return decorate


def _row(keys: Sequence[str], row: Any) -> tuple[str, dict[str, Any]]:  # noqa: ANN401 - any value
    values = (row,) if len(keys) == 1 else tuple(row)
    row_values = dict(zip(keys, values, strict=True))
    label = ", ".join(f"{key}={value!r:.200}" for key, value in row_values.items())
    return label, row_values
