"""Seeded mutations of raw messages: damaged bytes, and JSON of another shape at every place."""

import copy
import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

from tests.support.clients import CLIENTS, body_of, raw, signature, with_body

VALUES: Final[tuple[Any, ...]] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    7,
    255,
    2**31,
    2**63 - 1,
    2**64,
    10**400,
    -0.0,
    1.5,
    1e308,
    float("nan"),
    float("inf"),
    "",
    " ",
    "x",
    "0",
    "7",
    "null",
    "\x00",
    "a\nb",
    "\ud800",
    "\u202e",
    "x" * 256,
    "é" * 200,
    "x" * 100_000,
    "base64",
    "utf-8",
    "utf-16",
    "application/json",
    "application/x-python-serialize",
    "application/x-gzip",
    "0001-01-01T00:00:00+14:00",
    "1969-12-31T23:59:59Z",
    "2026-01-31",
    "2026-01-31T10:00:00+23:59",
    "9999-12-31T23:59:59-12:00",
    "maintenance.vacuum",
    "render",
    "celery.map",
    [],
    [None],
    [[]],
    [{}],
    [1, 2, 3],
    ["a", "b"],
    [[], {}, {}],
    {},
    {"a": 1},
    {"": None},
    {"task": "render.one", "id": "x", "args": [], "kwargs": {}},
    {"__type__": "datetime", "__value__": "2026-01-31T00:00:00"},
    {"__type__": "uuid", "__value__": 7},
    signature(),
    [signature("maintenance.vacuum")],
)
_NAMES: Final = (
    "task id retries eta expires timelimit compression group group_index chord chain callbacks "
    "errbacks headers get update clear children options args kwargs properties delivery_info "
    "as_execution_options _children _protected _get_custom_headers __class__ __dict__ refusal "
    "ignore_result is_eager called_directly hostname reply_to correlation_id loglevel utc "
    "time_limit soft_time_limit stamps stamped_headers shadow redelivered x-death priority "
    "countdown queue exchange routing_key link link_error task_id root_id producer connection "
    "retry retry_policy serializer content_type body name args subtask_type immutable tasks"
)
NAMES: Final = tuple(_NAMES.split())
MOST_EDITS: Final = 4


def mutations(seed: int, count: int) -> Iterator[bytes]:
    """Yield ``count`` raw messages, mutated once or a few times; the same for the same seed."""
    random = Random(seed)  # noqa: S311 - no secret
    bases = list(CLIENTS.values())
    for _ in range(count):
        message = random.choice(bases)()
        if random.random() < 1 / 3:
            yield _damaged(random, raw(message))
        else:
            for _ in range(random.choice((1, 1, 1, 2, 3))):
                message = _changed(random, message)
            yield _written(random, message)


def _damaged(random: Random, entry: bytes) -> bytes:
    """Return bytes of which a few are changed, left out, repeated, or put in."""
    damaged = bytearray(entry)
    for _ in range(random.randint(1, MOST_EDITS)):
        at = random.randrange(len(damaged) + 1)
        to = min(len(damaged), at + random.choice((1, 1, 1, 8, 100)))
        match random.randrange(6):
            case 0:
                damaged[at:to] = bytes(byte ^ 1 << random.randrange(8) for byte in damaged[at:to])
            case 1:
                damaged[at:to] = random.randbytes(to - at)
            case 2:
                del damaged[at:to]
            case 3:
                damaged[at:at] = damaged[at:to]
            case 4:
                damaged[at:at] = random.choice(
                    (b"\xef\xbb\xbf", b"\xff", b"\x00", b"}", b"[", b" ")
                )
            case _:
                del damaged[at:]
    return bytes(damaged)


def _changed(random: Random, message: dict[str, Any]) -> dict[str, Any]:
    """Return a message of which one place is another, in its envelope or in its body."""
    try:
        body = body_of(message)
    except (ValueError, KeyError, TypeError, AttributeError):
        body = None
    if body is not None and random.random() < 1 / 2:
        changed = _edited(random, body)
        return with_body(message, json.dumps(changed).encode())
    changed = _edited(random, message)
    return changed if isinstance(changed, dict) else message


def _edited(random: Random, value: Any) -> Any:  # noqa: ANN401 - any JSON value
    value = copy.deepcopy(value)
    paths = list(_paths(value))
    parent, step = random.choice(paths) if paths else (None, None)
    if parent is None:
        return random.choice(VALUES)
    edit: Callable[[], None] = random.choice(
        (
            lambda: parent.__setitem__(step, random.choice(VALUES)),
            lambda: parent.__setitem__(step, random.choice(VALUES)),
            lambda: parent.__setitem__(step, copy.deepcopy(random.choice(paths)[0])),
            lambda: parent.__setitem__(step, [parent[step]]),
            lambda: parent.__setitem__(step, _inner(parent[step])),
            lambda: parent.__delitem__(step),
            lambda: _put_in(random, parent),
        )
    )
    edit()
    return value


def _inner(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return the first of what ``value`` contains."""
    if isinstance(value, dict):
        return next(iter(value.values()), None)
    return value[0] if isinstance(value, list) and value else None


def _put_in(random: Random, parent: Any) -> None:  # noqa: ANN401 - a list or a dict
    if isinstance(parent, dict):
        parent[random.choice(NAMES)] = random.choice(VALUES)
    else:
        parent.insert(random.randrange(len(parent) + 1), random.choice(VALUES))


def _paths(value: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401 - any JSON value
    """Yield each place in ``value``, as what contains it and the step from there."""
    if isinstance(value, dict | list):
        for step, child in list(value.items() if isinstance(value, dict) else enumerate(value)):
            yield value, step
            yield from _paths(child)


def _written(random: Random, message: dict[str, Any]) -> bytes:
    """Return a message as JSON: plain, in UTF-8, with a member twice, or followed by more."""
    entry = json.dumps(message)
    match random.randrange(12):
        case 0:
            entry = json.dumps(message, ensure_ascii=False)
        case 1:
            entry = f'{{"headers": {json.dumps(random.choice(VALUES))}, {entry[1:]}'
        case 2:
            entry = f'{entry[:-1]}, "properties": {json.dumps(random.choice(VALUES))}}}'
        case 3:
            entry += random.choice(("", " ", "\n", "x", entry))
    return entry.encode("utf-8", "surrogatepass")
