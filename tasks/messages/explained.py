"""Pydantic's errors in the words of JSON: producers use any language."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic_core import ErrorDetails

_Context = Mapping[str, Any]


def message_of(error: ErrorDetails) -> str:
    """Return the message of an error of pydantic."""
    explain = _MESSAGES.get(error["type"])
    if explain is None:
        return error["msg"].removeprefix("Value error, ")
    return explain if isinstance(explain, str) else explain(error.get("ctx", {}))


def kind_of(kind: str) -> str:
    """Return the type of an error, with the types of JSON instead of Python's."""
    return _KINDS.get(kind, kind)


def _characters(number: object) -> str:
    return f"{number} character" if number == 1 else f"{number} characters"


def _items(number: object) -> str:
    return f"{number} item" if number == 1 else f"{number} items"


_KINDS: Final = {
    **dict.fromkeys(("bool_parsing", "bool_type"), "boolean"),
    **dict.fromkeys(("dict_type", "mapping_type", "model_attributes_type", "model_type"), "object"),
    "float_type": "number",
    **dict.fromkeys(("int_from_float", "int_type"), "integer"),
    **dict.fromkeys(("list_type", "tuple_type"), "array"),
    **dict.fromkeys(("string_type", "string_unicode"), "string"),
}
"""Types of JSON by the types of pydantic's errors, which are Python's."""

_MESSAGES: Final[Mapping[str, str | Callable[[_Context], str]]] = {
    "bool_parsing": "expected true or false",
    "bool_type": "expected true or false",
    "date_from_datetime_parsing": "expected a date: YYYY-MM-DD (ISO 8601)",
    "date_parsing": "expected a date: YYYY-MM-DD (ISO 8601)",
    "date_type": "expected a date: YYYY-MM-DD (ISO 8601)",
    "datetime_from_date_parsing": "expected a date and time (RFC 3339)",
    "datetime_parsing": "expected a date and time (RFC 3339)",
    "datetime_type": "expected a date and time (RFC 3339)",
    "dict_type": "expected an object",
    "extra_forbidden": "unknown keyword",
    "finite_number": "expected a finite number",
    "float_type": "expected a number",
    "greater_than": lambda context: f"expected more than {context['gt']}",
    "greater_than_equal": lambda context: f"expected {context['ge']} or more",
    "int_from_float": "expected a whole number",
    "int_type": "expected a whole number",
    "invalid_key": "expected text as the name of a member",
    "less_than": lambda context: f"expected less than {context['lt']}",
    "less_than_equal": lambda context: f"expected {context['le']} or less",
    "list_type": "expected an array",
    "literal_error": lambda context: f"expected {context['expected']}",
    "mapping_type": "expected an object",
    "missing": "is required",
    "model_attributes_type": "expected an object",
    "model_type": "expected an object",
    "none_required": "expected null",
    "string_too_long": lambda context: f"expected at most {_characters(context['max_length'])}",
    "string_too_short": lambda context: f"expected at least {_characters(context['min_length'])}",
    "string_type": "expected text",
    "string_unicode": "expected text in UTF-8",
    "too_long": lambda context: f"expected at most {_items(context['max_length'])}",
    "too_short": lambda context: f"expected at least {_items(context['min_length'])}",
}
