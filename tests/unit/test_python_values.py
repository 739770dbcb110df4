"""Values of Python's types, as kombu sends them."""

import json
import uuid
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.utils.json import dumps

from tasks.errors import InvalidMessage
from tasks.messages.base import Message, parse
from tasks.messages.python_values import converted
from tasks.messages.render import RenderOne
from tasks.messages.templates import CreateTemplate, UpdateTemplate
from tasks.messages.versions import PublishVersion
from tasks.rendering.limits import Limits
from tests.support.cases import each

ID = uuid.UUID("12345678-1234-5678-1234-567812345678")


def sent(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value of a producer in Python as it comes: through kombu's JSON."""
    return json.loads(dumps({"value": value}))["value"]


@each(
    ("value", "expected"),
    [
        (Decimal("12.50"), 12.5),
        (Decimal(7), 7),
        (Decimal("7.00"), 7),
        (Decimal("-0.1"), -0.1),
        (Decimal("1E+3"), 1000),
        (Decimal(2**70), 2**70),
        (Decimal("0.1234567890123456789"), "0.1234567890123456789"),
        (datetime(2026, 1, 31, 12, tzinfo=UTC), "2026-01-31T12:00:00+00:00"),
        (datetime(2026, 1, 31, 12), "2026-01-31T12:00:00"),  # noqa: DTZ001 - as a producer may send it
        (date(2026, 1, 31), "2026-01-31"),
        (time(12, 30), "12:30:00"),
        (ID, str(ID)),
        (b"caf\xc3\xa9", "café"),
        (b"\xff\x00", "/wA="),
        ([{"a": Decimal("1.5")}, date(2026, 1, 1)], [{"a": 1.5}, "2026-01-01"]),
    ],
)
def test_each_type_becomes_what_others_would_send(value: object, expected: object) -> None:
    """A number, or text in the form of ISO 8601; at every depth."""
    assert converted(sent(value)) == expected
    message = parse(RenderOne, {"template_id": "a", "variables": {"x": sent(value)}}, Limits())
    assert message.variables == {"x": expected}


@each(
    "value",
    [
        {"__type__": "decimal", "__value__": "x"},
        {"__type__": "decimal", "__value__": "NaN"},
        {"__type__": "decimal", "__value__": "Infinity"},
        {"__type__": "decimal", "__value__": "1E+999999"},
        {"__type__": "decimal", "__value__": None},
        {"__type__": "datetime", "__value__": "yesterday"},
        {"__type__": "date", "__value__": 5},
        {"__type__": "uuid", "__value__": "x"},
        {"__type__": "uuid", "__value__": {}},
        {"__type__": "bytes", "__value__": 1},
        {"__type__": "base64", "__value__": "*"},
    ],
)
def test_what_is_marked_and_is_none_is_refused(value: dict[str, Any]) -> None:
    """With the type, and not with the value."""
    with pytest.raises(InvalidMessage) as caught:
        parse(RenderOne, {"template_id": "a", "variables": {"x": value}}, Limits())
    (problem,) = caught.value.details
    assert (problem["path"], problem["type"]) == ("variables", "marked_value")
    assert value["__type__"] in problem["message"]


@each(
    "value",
    [
        {"__type__": "money", "__value__": "1"},
        {"__type__": "decimal"},
        {"__type__": "decimal", "__value__": "1", "x": 1},
        {"__type__": 1, "__value__": "1"},
    ],
)
def test_other_objects_stay_as_they_are(value: dict[str, Any]) -> None:
    """Kombu marks with two members and a type that it knows."""
    assert converted(value) is value


def test_defaults_and_examples_are_converted_too() -> None:
    """They come from producers like values."""
    variable = {"name": "x", "type": "number", "default": sent(Decimal("1.5")), "example": 2}
    message = {"template_id": "a", "body": "{{ x }}", "variables": [variable]}
    parsed = parse(PublishVersion, message, Limits())
    assert parsed.variables is not None
    assert parsed.variables[0].default == 1.5


@each(
    ("model", "message"),
    [
        (CreateTemplate, {"template_id": "a", "name": "A", "type": "sms"}),
        (UpdateTemplate, {"template_id": "a"}),
        (PublishVersion, {"template_id": "a", "body": "b"}),
    ],
)
def test_metadata_are_converted_too(model: type[Message], message: dict[str, Any]) -> None:
    """At every depth; the object itself stays one, whatever its members are called."""
    metadata = sent({"until": date(2026, 1, 31), "owners": [{"id": ID}]})
    parsed = parse(model, message | {"metadata": metadata}, Limits())
    assert parsed.model_dump()["metadata"] == {"until": "2026-01-31", "owners": [{"id": str(ID)}]}
    marked = {"__type__": "date", "__value__": "2026-01-31"}
    assert parse(model, message | {"metadata": marked}, Limits()).model_dump()["metadata"] == marked


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**40), max_value=10**40))
def test_no_digit_of_a_decimal_is_lost(number: Decimal) -> None:
    """Whether it becomes a number or text."""
    plain = converted(sent(number))
    again = Decimal(repr(plain)) if isinstance(plain, float) else Decimal(plain)
    assert again == number
