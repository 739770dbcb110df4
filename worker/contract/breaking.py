"""Changes of the contract that break producers: a comparison of two AsyncAPI documents.

A message breaks its producers if it takes less than before; a result, if it gives less. Additions
break neither: clients ignore members of a result that they do not know, and error codes and values
of an enum may be added, as docs/messages.md says.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

Json = Mapping[str, Any]

_MOST: Final = ("maxLength", "maxItems", "maxProperties", "maximum", "exclusiveMaximum")
_LEAST: Final = ("minLength", "minItems", "minProperties", "minimum", "exclusiveMinimum")
_SAME: Final = ("pattern", "format", "multipleOf")
_NUMBERS: Final = frozenset({"integer", "number"})
_INNER: Final = {"additionalProperties": ".*", "propertyNames": ".(propertyNames)"}
_OF_EVERY_MESSAGE: Final = {
    "CeleryHeaders": True,
    "CeleryCallbacks": True,
    "RedisEntry": True,
    "Refusal": False,
}
"""Schemas that all tasks share, and whether producers send them, or else receive them."""

_COMPARED: Final = frozenset(
    {
        *(*_MOST, *_LEAST, *_SAME, *_INNER, "items", "properties", "required"),
        *("type", "enum", "const", "anyOf", "oneOf", "$ref", "default"),
        *("title", "description", "examples", "deprecated", "discriminator", "$comment"),
    }
)
"""Keywords of a schema that are compared one by one, or restrict nothing."""


class Break(NamedTuple):
    """A breaking change: task, place, and the contents before and after."""

    task: str
    path: str
    message: str

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.task}: {self.path}: {self.message}" if self.path else self.message


def breaking_changes(before: Json, after: Json) -> list[Break]:
    """Return the changes from one contract to another that break producers or their callbacks."""
    breaks = [*_of_transport(before, after), *_of_tables(before, after)]
    for task, operation in before["operations"].items():
        now = after["operations"].get(task)
        if now is None:
            breaks.append(Break(task, "", f"the task {task} was removed"))
            continue
        if now["channel"] != operation["channel"]:
            queues = [_last(each["channel"]["$ref"]) for each in (operation, now)]
            breaks.append(Break(task, "queue", f"was {queues[0]}, is {queues[1]}"))
        breaks += [
            Break(task, name, "changed")
            for name in ("action", "reply")
            if name in operation and operation[name] != now.get(name)
        ]
        messages = [each["components"]["messages"] for each in (before, after)]
        keywords = [each[task]["payload"]["items"][1] for each in messages]
        answers = [each[f"{task}.result"]["payload"] for each in messages]
        for schemas, is_message in ((keywords, True), (answers, False)):
            compare = _Comparison(task, before, after, is_message=is_message)
            breaks += compare.changes(schemas[0], schemas[1], "")
    for name, is_message in _OF_EVERY_MESSAGE.items():
        compare = _Comparison(name, before, after, is_message=is_message)
        reference = {"$ref": f"#/components/schemas/{name}"}
        breaks += compare.changes(reference, reference, "")
    # A model that several tasks have is reported for each.
    return list(dict.fromkeys(breaks))


def is_announced(before: Json, after: Json) -> bool:
    """Return whether the version allows breaking changes: by major, before 1.0 by minor."""
    was, now = (
        tuple(int(part) for part in document["info"]["version"].split(".")[:2])
        for document in (before, after)
    )
    return now[:1] > was[:1] or (was[0] == now[0] == 0 and now > was)


def _of_transport(before: Json, after: Json) -> Iterator[Break]:
    if before["defaultContentType"] != after["defaultContentType"]:
        is_now = after["defaultContentType"]
        yield Break("messages", "content type", f"was {before['defaultContentType']}, is {is_now}")
    for name, channel in before["channels"].items():
        address = after["channels"].get(name, {}).get("address")
        if address is None:
            yield Break("channels", name, "the channel was removed")
        elif address != channel["address"]:
            yield Break("channels", name, f"the address was {channel['address']}, is {address}")


def _of_tables(before: Json, after: Json) -> Iterator[Break]:
    codes = [{each["code"]: each for each in each["x-error-codes"]} for each in (before, after)]
    for code, was in codes[0].items():
        now = codes[1].get(code)
        if now is None:
            yield Break("errors", code, "the error code was removed")
            continue
        for name in ("exc_type", "may_be_sent_again"):
            if now[name] != was[name]:
                yield Break("errors", code, f"{name} was {was[name]}, is {now[name]}")
    for name, was in before["x-limits"].items():
        now = after["x-limits"].get(name)
        if now is None:
            yield Break("limits", name, "the limit was removed")
        elif now["default"] < was["default"]:
            yield Break("limits", name, f"was {was['default']}, is {now['default']}")


@dataclass(slots=True)
class _Comparison:
    """Compares schemas of one task, in the direction of a message or of a result."""

    task: str
    before: Json
    after: Json
    is_message: bool
    _open: list[tuple[str, str]] = field(default_factory=list)
    """Models that are being compared: one may contain itself."""

    def changes(self, before: Json, after: Json, path: str) -> Iterator[Break]:
        """Yield the breaking changes from one schema to another."""
        names = (before.get("$ref", ""), after.get("$ref", ""))
        if any(names) and names in self._open:
            return
        self._open.append(names)
        resolved = _resolved(self.before, before), _resolved(self.after, after)
        yield from self._of_variants(*resolved, path)
        self._open.pop()

    def _of_variants(self, before: Json, after: Json, path: str) -> Iterator[Break]:
        was, now = _variants(before), _variants(after)
        if len(was) == len(now) == 1:
            yield from self._of_one(was[0], now[0], path)
            return
        matches = _matched(self.before, was, self.after, now)
        for variant, match in matches:
            if match is not None:
                yield from self.changes(variant, match, path)
            elif self.is_message:
                yield self._break(path, f"type changed: no longer {_kind(self.before, variant)}")
        if not self.is_message:
            known = [id(match) for _, match in matches]
            for variant in now:
                if id(variant) not in known:
                    yield self._break(path, f"type changed: now also {_kind(self.after, variant)}")
        yield from self._of_values(before, after, path)
        yield from self._of_limits(before, after, path)

    def _of_one(self, before: Json, after: Json, path: str) -> Iterator[Break]:
        was, now = _kind(self.before, before), _kind(self.after, after)
        if was != now and not self._is_wider(was, now):
            yield self._break(path, f"type changed: was {was}, is {now}")
            return
        if self.is_message and now == "anything":
            return
        yield from self._of_values(before, after, path)
        yield from self._of_limits(before, after, path)
        yield from self._of_members(before, after, path)
        if "array" in was:
            yield from self._of_inner("items", before, after, f"{path}[]")
        if "object" in was:
            for name, step in _INNER.items():
                yield from self._of_inner(name, before, after, path + step)

    def _of_inner(self, name: str, before: Json, after: Json, path: str) -> Iterator[Break]:
        """Yield the changes of a schema that all items or members match; without it all do."""
        was, now = (
            True if each.get(name) in ({}, None) else each[name] for each in (before, after)
        )
        if isinstance(was, dict) and isinstance(now, dict):
            yield from self.changes(was, now, path)
        elif was != now:
            is_restricted = was is True or now is False
            if is_restricted is self.is_message:
                what = "restricted" if is_restricted else "no longer restricted"
                yield self._break(
                    path.removesuffix(_INNER.get(name, "[]")), f"{name} is {what} now"
                )

    def _is_wider(self, was: str, now: str) -> bool:
        """Return whether a message's type accepts all that it accepted, or a result's no more."""
        if "anything" in (was, now):
            return (now if self.is_message else was) == "anything"
        return {was, now} == _NUMBERS and (now == "number") is self.is_message

    def _of_values(self, before: Json, after: Json, path: str) -> Iterator[Break]:
        was, now = _values(before), _values(after)
        if was is not None and now is not None:
            # A value that a result has no more breaks nothing, unless another takes its place.
            if self.is_message or not {*now} <= {*was}:
                for value in was:
                    if value not in now:
                        yield self._break(path, f"the value {value} was removed")
        elif was is None and now is not None and self.is_message:
            yield self._break(path, f"only {', '.join(now)} are allowed now")
        if self.is_message and "default" in before and before["default"] != after.get("default"):
            is_now = json.dumps(after["default"]) if "default" in after else "missing"
            yield self._break(path, f"the default was {json.dumps(before['default'])}, is {is_now}")

    def _of_limits(self, before: Json, after: Json, path: str) -> Iterator[Break]:
        if not self.is_message:
            if before.get("format") not in (None, after.get("format")):
                is_now = after.get("format", "none")
                yield self._break(path, f"the format was {before['format']}, is {is_now}")
            return
        for name in sorted(after.keys() - _COMPARED):
            if before.get(name) != after[name] and not name.startswith("x-"):
                yield self._break(path, f"the restriction {name} was added or changed")
        for name in (*_MOST, *_LEAST, *_SAME):
            was, now = before.get(name), after.get(name)
            if now is not None and (was is None or _is_tighter(name, was, now)):
                was = "none" if was is None else was
                yield self._break(path, f"the limit {name} was {was}, is {now}")

    def _of_members(self, before: Json, after: Json, path: str) -> Iterator[Break]:
        was, now = before.get("properties", {}), after.get("properties", {})
        prefix = f"{path}." if path else ""
        for name, schema in was.items():
            if name not in now:
                yield self._break(prefix + name, "was removed")
            else:
                yield from self.changes(schema, now[name], prefix + name)
        needed = [set(each.get("required", ())) for each in (before, after)]
        if self.is_message:
            for name in sorted(needed[1] - needed[0]):
                yield self._break(prefix + name, "is required now")
        else:
            for name in sorted((needed[0] - needed[1]) & now.keys()):
                yield self._break(prefix + name, "may be missing now")

    def _break(self, path: str, message: str) -> Break:
        return Break(self.task, path or ("message" if self.is_message else "result"), message)


def _is_tighter(name: str, was: Any, now: Any) -> bool:  # noqa: ANN401 - numbers or text
    if name in _SAME:
        return bool(was != now)
    return bool(now < was if name in _MOST else now > was)


def _resolved(document: Json, schema: Json) -> Json:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    # What is next to a reference, such as a default, holds too.
    own = {name: value for name, value in schema.items() if name != "$ref"}
    return {**document["components"]["schemas"][_last(reference)], **own}


def _last(reference: str) -> str:
    return reference.rpartition("/")[2]


def _variants(schema: Json) -> list[Json]:
    """Return the alternatives of a schema; an instance matches one of them."""
    for name in ("anyOf", "oneOf"):
        if name in schema:
            return list(schema[name])
    if isinstance(schema.get("type"), list):
        return [{**schema, "type": kind} for kind in schema["type"]]
    return [schema]


def _matched(
    before: Json, was: list[Json], after: Json, now: list[Json]
) -> list[tuple[Json, Json | None]]:
    """Return each variant with the other document's variant of the same name or type."""
    left = list(now)
    matches: list[tuple[Json, Json | None]] = []
    for variant in was:
        same = [each for each in left if each.get("$ref") == variant.get("$ref")]
        kinds = [each for each in left if _kind(after, each) == _kind(before, variant)]
        named = [each for each in kinds if each in same]
        found = next(iter([*named, *kinds]), None)
        if found is not None:
            left.remove(found)
        matches.append((variant, found))
    return matches


def _kind(document: Json, schema: Json) -> str:
    schema = _resolved(document, schema)
    if "type" in schema:
        return str(schema["type"])
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    kinds = {_JSON_TYPES[type(value)] for value in values}
    return "anything" if not kinds else " or ".join(sorted(kinds))


def _values(schema: Json) -> list[str] | None:
    if "enum" in schema:
        return [json.dumps(value) for value in schema["enum"]]
    return [json.dumps(schema["const"])] if "const" in schema else None


_JSON_TYPES: Final = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
    list: "array",
    dict: "object",
}
