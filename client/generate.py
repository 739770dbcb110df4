"""Write the client's models, errors, queues and calls from ``docs/contract.json``.

``python client/generate.py`` writes them, ``make check`` runs it with ``--check``.
"""

import json
import keyword
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

Schema = Mapping[str, Any]
ROOT: Final = Path(__file__).resolve().parent
PACKAGE: Final = ROOT / "src" / "template_service_client"
HEADER: Final = '"""{} Generated from the contract by client/generate.py."""\n'
NOT_FOR_PRODUCERS: Final = "maintenance."
WIDTH: Final = 88
PLAIN: Final = {"Any", "Literal", "None"}
TYPES: Final = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
}


def files(contract: Mapping[str, Any]) -> dict[str, str]:
    """Return the generated modules by name."""
    tasks = {
        name: operation
        for name, operation in contract["operations"].items()
        if not name.startswith(NOT_FOR_PRODUCERS)
    }
    schemas = contract["components"]["schemas"]
    messages = contract["components"]["messages"]
    models = {
        name: (
            _name(messages[name]["payload"]["items"][1]),
            _name(messages[f"{name}.result"]["payload"]["properties"]["result"]),
        )
        for name in tasks
    }
    needed = _closure(schemas, {model for pair in models.values() for model in pair})
    return {
        "models.py": _models({name: schemas[name] for name in sorted(needed)}),
        "errors.py": _errors(contract["x-error-codes"]),
        "queues.py": _queues(tasks),
        "calls.py": _calls(tasks, models),
        "__init__.py": _exports(sorted(needed), contract["x-error-codes"]),
    }


def _models(schemas: Mapping[str, Schema]) -> str:
    classes = "\n\n".join(_model(name, schema) for name, schema in schemas.items())
    imports = "from typing import Any, Literal, NotRequired, TypedDict\n"
    return HEADER.format("Messages and results.") + f"\n{imports}\n\n{classes}\n"


def _model(name: str, schema: Schema) -> str:
    required = set(schema.get("required", ()))
    members = {
        member: _quoted(_type(each))
        if member in required
        else f"NotRequired[{_quoted(_type(each))}]"
        for member, each in schema["properties"].items()
    }
    if any(keyword.iskeyword(member) for member in members):
        inside = ", ".join(f'"{member}": {kind}' for member, kind in members.items())
        return f'{name} = TypedDict("{name}", {{{inside}}})'
    text = _docstring(schema.get("description", name))
    lines = [f"    {member}: {kind}" for member, kind in members.items()]
    return "\n".join([f"class {name}(TypedDict):", text, "", *lines, ""])


def _quoted(kind: str) -> str:
    """Return a type, as text if it names a model, which may be defined below."""
    names = re.findall(r"\w+", re.sub(r"'[^']*'", "", kind))
    return f'"{kind}"' if any(name[0].isupper() for name in names if name not in PLAIN) else kind


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        return _name(schema)
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(each) for each in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return f"Literal[{', '.join(map(repr, values))}]".replace('"', "'")
    kind = schema.get("type")
    if kind == "array":
        return f"list[{_type(schema.get('items', {}))}]"
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"dict[str, {_type(values) if isinstance(values, dict) else 'Any'}]"
    return TYPES.get(str(kind), "Any")


def _errors(codes: Iterable[Mapping[str, Any]]) -> str:
    lines = [
        HEADER.format("An exception for each error code."),
        "from typing import Final",
        "from template_service_client.exceptions import ServiceError",
    ]
    codes = list(codes)
    for each in codes:
        lines += [
            f"class {each['exc_type']}(ServiceError):",
            f'    """{each["meaning"]}"""',
        ]
    entries = ", ".join(f'"{each["code"]}": {each["exc_type"]}' for each in codes)
    return "\n".join([*lines, f"ERRORS: Final[dict[str, type[ServiceError]]] = {{{entries}}}", ""])


def _queues(tasks: Mapping[str, Any]) -> str:
    entries = ", ".join(f'"{name}": "{_name(each["channel"])}"' for name, each in tasks.items())
    return (
        HEADER.format("The queue of each task.")
        + f"from typing import Final\n\nQUEUES: Final = {{{entries}}}\n"
    )


def _calls(tasks: Mapping[str, Any], models: Mapping[str, tuple[str, str]]) -> str:
    used = sorted({model for pair in models.values() for model in pair})
    lines = [
        HEADER.format("The calls of both clients."),
        "from typing import Unpack, cast",
        "from template_service_client.core import AsyncCore, SyncCore",
        f"from template_service_client.models import ({', '.join(used)})",
    ]
    for client, base, is_async in (
        ("Client", "SyncCore", False),
        ("AsyncClient", "AsyncCore", True),
    ):
        text = "Calls to be awaited." if is_async else "Calls that block until there is an answer."
        lines += ["", f"class {client}({base}):", f'    """{text}"""']
        for name, operation in tasks.items():
            message, result = models[name]
            method = name.replace(".", "_")
            start, wait = ("async def", "await ") if is_async else ("def", "")
            lines += [
                f"    {start} {method}(self, **message: Unpack[{message}]) -> {result}:",
                f'        """``{name}``: {operation["summary"]}"""',
                f'        return cast("{result}", {wait}self._call("{name}", message))',
                "",
            ]
    return "\n".join(lines)


def _exports(models: Iterable[str], codes: Iterable[Mapping[str, Any]]) -> str:
    names = {
        "calls": ["AsyncClient", "Client"],
        "errors": sorted(each["exc_type"] for each in codes),
        "exceptions": ["DefectError", "NoAnswerError", "ServiceError"],
        "models": sorted(models),
    }
    lines = [HEADER.format("Typed calls of Template Service.")]
    lines += [
        f"from template_service_client.{module} import ({', '.join(exported)})"
        for module, exported in names.items()
    ]
    public = sorted(name for exported in names.values() for name in exported)
    return "\n".join([*lines, f"__all__ = {public!r}", ""])


def _docstring(text: str) -> str:
    lines = [line for line in text.replace("\\", "").split("\n\n") if line]
    wrapped = "\n\n    ".join("\n    ".join(_wrapped(line)) for line in lines)
    end = "\n    " if "\n" in wrapped else ""
    return f'    """{wrapped}{end}"""'


def _wrapped(text: str) -> Iterator[str]:
    line = ""
    for word in text.split():
        if line and len(line) + len(word) > WIDTH:
            yield line
            line = ""
        line = f"{line} {word}".strip()
    yield line


def _name(reference: Schema) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _closure(schemas: Mapping[str, Schema], names: Iterable[str]) -> set[str]:
    found: set[str] = set()
    open_ = list(names)
    while open_:
        name = open_.pop()
        if name not in found:
            found.add(name)
            open_ += _references(schemas[name])
    return found


def _references(schema: object) -> Iterator[str]:
    if isinstance(schema, Mapping):
        if isinstance(schema.get("$ref"), str):
            yield _name(schema)
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def formatted(source: str, name: str) -> str:
    """Return source code as ruff formats it."""
    ruff = [str(Path(sys.executable).parent / "ruff")]
    place = ["--stdin-filename", str(PACKAGE / name), "-"]
    for command in (
        ["check", "--quiet", "--fix", "--exit-zero", "--select", "I,RUF022"],
        ["format", "--quiet"],
    ):
        done = subprocess.run(  # noqa: S603 - a program of this environment
            [*ruff, *command, *place], input=source, capture_output=True, text=True, check=True
        )
        source = done.stdout
    return source


def main(arguments: list[str]) -> None:
    """Write the files, or with --check say which are not current."""
    contract = json.loads((ROOT.parent / "docs" / "contract.json").read_text())
    sources = {name: formatted(text, name) for name, text in files(contract).items()}
    if arguments == ["--check"]:
        stale = [name for name, text in sources.items() if (PACKAGE / name).read_text() != text]
        if stale:
            sys.exit(f"not current in the client: {', '.join(stale)}: run make contract")
        return
    for name, text in sources.items():
        (PACKAGE / name).write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
