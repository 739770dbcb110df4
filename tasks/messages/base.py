"""Base models of messages and results, and the validation of a message."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, TypeVar

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from tasks.errors import InvalidMessage, Problem, TooLarge, problem
from tasks.messages.described import NO_NUL, described
from tasks.messages.explained import kind_of, message_of
from tasks.messages.fields import STEPS, Digest, ExpectedVersion, without_nul
from tasks.rendering.limits import Limits

M = TypeVar("M", bound="Message")
KEY_LENGTH = 255
_LONGEST_NAME = 50
_OTHER_TYPES_FAIL = (
    orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
_STEP = re.compile(r"[.\[]")
IdempotencyKey = Annotated[
    str,
    Field(min_length=1, max_length=KEY_LENGTH),
    AfterValidator(without_nul),
    described(pattern=NO_NUL),
]


class Message(BaseModel):
    """Keyword arguments of a task. Unknown ones are refused, and types are not converted.

    ``one_by_one`` has the models of keywords whose items the task validates itself, each with
    :func:`parse`.
    """

    one_by_one: ClassVar[Mapping[str, type["Message"]]] = {}
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class WriteMessage(Message):
    """A message that writes."""

    idempotency_key: IdempotencyKey | None = Field(
        default=None,
        description="Names this write; the Celery task id does when it is left out.",
    )

    def content(self) -> dict[str, Any]:
        """Return the content that two messages with one idempotency key must share.

        Defaults are left out, so that a field added by a newer worker changes no older message.
        """
        return self.model_dump(mode="json", exclude={"idempotency_key"}, exclude_defaults=True)


class Conditions(Message):
    """Conditions of a write: the template is as the producer has read it.

    ``expected_version`` names the current version, 0 stands for none. ``expected_digest`` is the
    template's digest, which also changes with its fields and translations.
    """

    expected_version: ExpectedVersion = None
    expected_digest: Digest | None = None


class ConditionalWrite(WriteMessage, Conditions):
    """A write that is refused where the template is not as the producer has read it."""


class Result(BaseModel):
    """An answer: always a JSON object."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse(model: type[M], keywords: Mapping[str, object], limits: Limits) -> M:
    """Return the message in ``keywords``.

    Raises
    ------
    InvalidMessage
        With all problems.
    TooLarge
        When all problems are sizes.
    """
    checked = {key: value for key, value in keywords.items() if key not in model.one_by_one}
    is_plain = _is_plain(checked, limits.depth)
    problems = [] if is_plain else list(text_problems(checked, "", limits.depth))
    # pydantic explains such strings poorly, so it validates the other keywords only.
    reported = {_STEP.split(problem["path"], maxsplit=1)[0] for problem in problems}
    rest = {key: value for key, value in keywords.items() if key not in reported and encodable(key)}
    try:
        message = model.model_validate(rest, context=limits)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
        # What concerns all keywords has no place, and cannot be checked for some of them.
        problems += [
            _problem_of(item, model)
            for item in errors
            if not reported or (item["loc"] and item["loc"][0] not in reported)
        ]
    else:
        if not problems:
            return message
    if all(problem["type"] == "too_large" for problem in problems):
        raise TooLarge.of("the message exceeds a limit", problems)
    raise InvalidMessage.of(f"the message is invalid: {len(problems)} problem(s)", problems)


def _is_plain(value: object, depth: int) -> bool:
    """Return whether :func:`text_problems` surely yields nothing: a quick check."""
    try:
        encoded = orjson.dumps(value, option=_OTHER_TYPES_FAIL)
    except TypeError:
        return False
    # A number that is not finite is encoded as null.
    return b"null" not in encoded and encoded.count(b"{") + encoded.count(b"[") <= depth


def text_problems(value: object, path: str, depth: int) -> Iterator[Problem]:
    """Yield a problem for each place in ``value`` that is not plain, storable JSON.

    Lone surrogates have no UTF-8 form (RFC 3629, section 3), numbers other than finite ones no
    JSON form (RFC 8259, section 6), and more than ``depth`` levels no sensible use.
    """
    # A place is its parent's place and a step; only the place of a problem becomes text.
    stack: list[tuple[object, _Place, int]] = [(value, None, depth)]
    while stack:
        item, place, left = stack.pop()
        if isinstance(item, str):
            if not encodable(item):
                message = "text contains a lone surrogate, which UTF-8 cannot encode"
                yield problem(_written(path, place), "lone_surrogate", message)
        elif isinstance(item, dict | list):
            if left < 0:
                message = f"at most {depth} levels are allowed"
                yield problem(_written(path, place), "too_deep", message)
                continue
            children = item.items() if isinstance(item, dict) else enumerate(item)
            # A stack reverses the order; problems are reported in the order of the message.
            for key, child in reversed(list(children)):
                if isinstance(key, str) and not encodable(key):
                    message = "a key contains a lone surrogate, which UTF-8 cannot encode"
                    yield problem(_written(path, place), "lone_surrogate", message)
                else:
                    stack.append((child, (place, key), left - 1))
        elif isinstance(item, float) and item - item != 0:
            yield problem(_written(path, place), "not_finite", "expected a finite number")
        elif item is not None and not isinstance(item, bool | int | float):
            yield problem(_written(path, place), "not_json", "expected a JSON value")


def joined(path: str, key: object) -> str:
    """Return ``path`` with one more step: a name, or the index of an array."""
    step = f"[{key}]" if isinstance(key, int) else str(key)[:100]
    return step if not path else f"{path}{step}" if isinstance(key, int) else f"{path}.{step}"


_Place = tuple["_Place", object] | None


def _written(path: str, place: _Place) -> str:
    steps = []
    while place is not None:
        place, step = place
        steps.append(step)
    for step in reversed(steps):
        path = joined(path, step)
    return path


def _problem_of(error: ErrorDetails, model: "type[Message]") -> Problem:
    path = ""
    for step in (*error["loc"], *error.get("ctx", {}).get(STEPS, ())):
        # pydantic marks the key of a mapping with a step of its own.
        path = path if step == "[key]" else joined(path, step)
    message = message_of(error)
    if error["type"] == "extra_forbidden":
        known = model.model_fields if len(error["loc"]) == 1 else ()
        close = get_close_matches(path[:_LONGEST_NAME], known, n=1, cutoff=0.7)
        message += f": write '{close[0]}'" if close else ": remove it, or correct its name"
    return problem(path, kind_of(error["type"]), message)


def encodable(text: str) -> bool:
    """Return whether UTF-8 can encode ``text``; it cannot encode lone surrogates."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


JsonObject = dict[str, Any]
"""A JSON object; :func:`text_problems` ensures that it holds nothing else."""
