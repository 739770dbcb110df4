"""``template.toml``: a template's fields other than its texts."""

import json
import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from typing import Any, Final

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.items import AoT, Table

from worker.authoring.definition import FIELDS, Definition, normal
from worker.authoring.files import parse_json
from worker.authoring.findings import Finding, error
from worker.authoring.layout import HEADER
from worker.authoring.positions import Positions, of_toml

TABLES: Final = ("metadata", "version_metadata")
"""Free JSON objects: of the template, and of its version."""

_AS_JSON: Final = "_json"
"""Ending of a key whose value is text in JSON, because TOML has no null."""

_KEYS: Final = frozenset(
    {
        *FIELDS,
        "template_id",
        "language",
        "inline_css",
        "byte_order_mark",
        "variables",
        *TABLES,
        *(f"{table}{_AS_JSON}" for table in TABLES),
    }
)
_VARIABLE_KEYS: Final = ("name", "type", "required", "default", "example", "description")
_MARK: Final = "\ufeff"


@dataclass(slots=True)
class Header:
    """The contents of ``template.toml``: members of messages, and what only files need.

    Attributes
    ----------
    template_id
        None where the name of the folder is the id.
    fields
        The template's own fields, as ``template.create`` takes them.
    variables
        As ``version.publish`` takes them; None has them inferred.
    version_metadata
        With the ``language`` of the version's own text.
    keeps_mark
        Whether byte order marks at the beginning of files are part of the texts.
    """

    template_id: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    inline_css: Any = False
    variables: Any = None
    version_metadata: Any = field(default_factory=dict)
    keeps_mark: bool = False


def parse(text: str, file: str) -> tuple[Header | None, list[Finding]]:
    """Return the contents of ``template.toml``, or None, and the findings about it."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        message, line, column = _decode_error(problem, text)
        return None, [error(file, "toml", f"not valid TOML: {message}", line, column)]
    except (ValueError, RecursionError) as problem:
        reason = "a number is too long" if isinstance(problem, ValueError) else "nested too deeply"
        return None, [error(file, "toml", f"not valid TOML: {reason}", 1, 1)]
    places = Positions(text, of_toml)

    def found(code: str, path: str, message: str) -> Finding:
        place = places.find(path)
        return error(file, code, message, place.line, place.column)

    findings = []
    for key in document.keys() - _KEYS:
        known = ", ".join(sorted(_KEYS - {f"{table}{_AS_JSON}" for table in TABLES}))
        findings.append(found("unknown_key", key, f"unknown key '{key}'; available: {known}"))
    mark = document.get("byte_order_mark", False)
    if not isinstance(mark, bool):
        message = "byte_order_mark: expected true or false"
        findings.append(found("bool_type", "byte_order_mark", message))
    try:
        return _header(document), findings
    except _NotJsonError as problem:
        return None, [*findings, found("json", problem.path, str(problem))]


def written(definition: Definition, folder: str, existing: str | None = None) -> str:
    """Return ``template.toml`` of a definition.

    Parameters
    ----------
    definition
        What it says.
    folder
        The name of the folder, which is the template's id if the file does not say another.
    existing
        The file so far: its comments and its order stay, and only what differs is written.
    """
    wanted = _wanted(definition, folder)
    if existing is not None:
        try:
            document = tomlkit.parse(existing)
            _update(document, wanted)
            text = tomlkit.dumps(document)
            if tomllib.loads(text) == wanted:
                return text
        except (ValueError, KeyError, TypeError):
            pass  # A file that cannot be changed in part is written anew.
    document = tomlkit.document()
    _update(document, wanted)
    return tomlkit.dumps(document)


def says(text: str, definition: Definition, folder: str) -> bool:
    """Return whether ``template.toml`` equals a definition's fields."""
    header, findings = parse(text, HEADER)
    other, _ = parse(written(definition, folder), HEADER)
    if header is None or other is None or findings:
        return False
    return _comparable(header) == _comparable(other)


def _comparable(header: Header) -> Header:
    """Return a header with defaults for omitted members."""
    defaults: dict[str, Any] = {
        "category": None,
        "description": None,
        "is_active": True,
        "metadata": {},
    }
    variables = header.variables
    if isinstance(variables, list):
        with suppress(ValueError):
            variables = normal(variables)
    return replace(header, fields=defaults | header.fields, variables=variables)


def _header(document: Mapping[str, Any]) -> Header:
    plain = {key: _plain(value) for key, value in document.items()}
    for table in TABLES:
        if f"{table}{_AS_JSON}" in plain:
            plain[table] = _from_json(f"{table}{_AS_JSON}", plain.pop(f"{table}{_AS_JSON}"))
    version_metadata = plain.get("version_metadata", {})
    if "language" in plain and isinstance(version_metadata, dict):
        version_metadata = version_metadata | {"language": plain["language"]}
    variables = plain.get("variables")
    if isinstance(variables, list):
        variables = [_variable(index, each) for index, each in enumerate(variables)]
    return Header(
        template_id=plain.get("template_id"),
        fields={name: plain[name] for name in FIELDS if name in plain},
        inline_css=plain.get("inline_css", False),
        variables=variables,
        version_metadata=version_metadata,
        keeps_mark=plain.get("byte_order_mark") is True,
    )


def _variable(index: int, value: Any) -> Any:  # noqa: ANN401 - a JSON value
    if not isinstance(value, dict):
        return value
    variable = dict(value)
    for key in ("default", "example"):
        name = f"{key}{_AS_JSON}"
        if name in variable:
            variable[key] = _from_json(f"variables[{index}].{name}", variable.pop(name))
    return variable


class _NotJsonError(ValueError):
    """A value under a key such as ``example_json`` that is not JSON."""

    def __init__(self, path: str, problem: Exception) -> None:
        self.path = path
        super().__init__(f"{path.rpartition('.')[2]} is not text in JSON: {problem}")


def _from_json(path: str, text: object) -> Any:  # noqa: ANN401 - a JSON value
    try:
        return parse_json(text if isinstance(text, str) else "")
    except (ValueError, RecursionError) as problem:
        raise _NotJsonError(path, problem) from None


def _plain(value: Any) -> Any:  # noqa: ANN401 - a JSON value
    """Return a value of TOML in JSON: dates and times are text in ISO 8601."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return value


def _wanted(definition: Definition, folder: str) -> dict[str, Any]:
    """Return the document of a definition; defaults are left out."""
    wanted: dict[str, Any] = {}
    if definition.template_id != folder:
        wanted["template_id"] = definition.template_id
    version_metadata = dict(definition.version_metadata)
    has_mark = any(
        source.startswith(_MARK) for _, text in definition.texts() for source in text.given()
    )
    optional = {
        "category": definition.category,
        "description": definition.description,
        "is_active": None if definition.is_active else False,
        "language": version_metadata.pop("language", None),
        "inline_css": definition.inline_css or None,
        "byte_order_mark": has_mark or None,
    }
    wanted |= {"name": definition.name, "type": definition.type}
    wanted |= {key: value for key, value in optional.items() if value is not None}
    tables = {"metadata": definition.metadata, "version_metadata": version_metadata}
    for table, value in tables.items():
        if value:
            wanted |= _storable(table, dict(value))
    if definition.variables is not None:
        variables = [_written_variable(each) for each in definition.variables]
        wanted["variables"] = variables
    # A key after a table would belong to it.
    return dict(sorted(wanted.items(), key=lambda item: isinstance(item[1], dict | list)))


def _written_variable(variable: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key in _VARIABLE_KEYS:
        value = variable.get(key)
        if value is None or (key == "required" and value is True):
            continue
        result |= _storable(key, value) if key in {"default", "example"} else {key: value}
    return result


def _storable(key: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 - a JSON value
    """Return a member of the document: as JSON where TOML cannot have its value."""
    if _fits(value):
        return {key: value}
    return {f"{key}{_AS_JSON}": json.dumps(value, ensure_ascii=False)}


def _fits(value: Any) -> bool:  # noqa: ANN401 - a JSON value
    if isinstance(value, dict):
        return all(_fits(item) for item in value.values())
    if isinstance(value, list):
        return all(_fits(item) for item in value)
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return value is not None


def _update(document: TOMLDocument, wanted: Mapping[str, Any]) -> None:
    """Change a document where it differs."""
    now = _unwrapped(document)
    for key in now.keys() - wanted.keys():
        document.remove(key)
    for key, value in wanted.items():
        if key in now and now[key] == value and type(now[key]) is type(value):
            continue
        if key == "variables" and value:
            _update_variables(document, value)
        elif isinstance(value, dict) and isinstance(document.get(key), Table):
            _update_table(document[key], value)
        elif key in document:
            document[key] = _item(value)
        else:
            document.add(key, _item(value))


def _update_variables(document: TOMLDocument, variables: list[dict[str, Any]]) -> None:
    known = document.get("variables")
    tables = {}
    if isinstance(known, AoT):
        tables = {str(table.get("name")): table for table in known.body}
    array = tomlkit.aot()
    for variable in variables:
        table = tables.get(variable["name"], tomlkit.table())
        _update_table(table, variable)
        array.append(table)
    if "variables" in document:
        document.remove("variables")
    document.add("variables", array)


def _update_table(table: Table, wanted: Mapping[str, Any]) -> None:
    now = _unwrapped(table)
    for key in now.keys() - wanted.keys():
        table.remove(key)
    for key, value in wanted.items():
        if key not in now or now[key] != value or type(now[key]) is not type(value):
            table[key] = _item(value)


def _unwrapped(container: TOMLDocument | Table) -> dict[str, Any]:
    value: dict[str, Any] = container.unwrap()
    return value


def _item(value: Any) -> Any:  # noqa: ANN401 - a value of TOML
    if isinstance(value, str) and "\n" in value and "\r" not in value:
        return tomlkit.string(value, multiline=True)
    return tomlkit.item(value)


def _at(text: str, position: int) -> tuple[int, int]:
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)


def _decode_error(problem: tomllib.TOMLDecodeError, text: str) -> tuple[str, int, int]:
    """Return the message of an error of TOML without its place, and the place."""
    message = str(problem)
    match = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    if match is None:
        return message, 1, 1
    if match[1] is None:
        return message[: match.start()], *_at(text, len(text))
    return message[: match.start()], int(match[1]), int(match[2])
