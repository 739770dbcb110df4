"""The variables that a version declares."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from tasks.messages.base import Result
from tasks.messages.described import described, items_are
from tasks.messages.fields import Description, VariableType, json_without_nul
from tasks.messages.python_values import converted
from tasks.rendering.paths import parsed, written
from tasks.rendering.render_names import RENDER_NAMES

MOST_VARIABLES = 500
_HYPHENATED = re.compile(r"[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*", re.ASCII)
LONGEST_NAME = 255
_OTHER_TYPES = {
    **dict.fromkeys(("list", "tuple", "vector", "array", "list_type"), "array"),
    **dict.fromkeys(("dict", "map", "hash", "struct", "object", "dict_type"), "object"),
    **dict.fromkeys(("str", "text", "char", "varchar", "string", "uuid"), "string"),
    **dict.fromkeys(("int", "long", "integer"), "integer"),
    **dict.fromkeys(("float", "double", "real", "number"), "number"),
    **dict.fromkeys(("money", "bigdecimal", "numeric", "decimal"), "decimal"),
    **dict.fromkeys(("bool", "boolean"), "boolean"),
    **dict.fromkeys(("timestamp", "date-time", "datetime"), "datetime"),
    **dict.fromkeys(("uri", "link", "url"), "url"),
    **dict.fromkeys(("html", "richtext", "md"), "markdown"),
}
"""The types by what other languages, databases and JSON Schema call them, in lower case."""
RESERVED = frozenset({"caller", "false", "loop", "none", "self", "super", "true"}) | RENDER_NAMES


def is_variable_name(text: str) -> bool:
    """Return whether a variable may have that name."""
    path = parsed(text) if len(text) <= LONGEST_NAME else None
    return path is not None and path[0] not in RESERVED


def _variable_name(text: str) -> str:
    path = parsed(text) if is_variable_name(text) else None
    if path is None:
        raise PydanticCustomError("variable_name", "{problem}", {"problem": _name_problem(text)})
    return written(path)


def _name_problem(text: str) -> str:
    """Return the problem of a name, and how to write it."""
    path = parsed(text)
    if path is not None and path[0] in RENDER_NAMES:
        return "expected another name: 'language' and 'dir' are set for each rendered text"
    if path is not None and path[0] in RESERVED:
        return f"'{path[0]}' has a meaning in the template language: choose another name"
    if _HYPHENATED.fullmatch(text):
        first, *others = text.split(".")
        if "-" in first:
            return (
                "'-' is minus in a template, and a variable's own name has none: name it with '_', "
                "or make it a member of an object, such as 'user[\"first-name\"]'"
            )
        steps = [f'["{step}"]' if "-" in step else f".{step}" for step in others]
        return f"'-' is minus in a template: write {first}{''.join(steps)}"
    return (
        "expected a name such as 'amount', 'user.name', 'items[].sku' or 'user[\"first-name\"]', "
        "not one of the template language"
    )


def _own_type(name: object) -> object:
    """Refuse the name that another language has for a type, with the one that it has here."""
    other = _OTHER_TYPES.get(name.lower()) if isinstance(name, str) else None
    if other is not None and name != other:
        raise PydanticCustomError(
            "variable_type",
            "'{name}' is not a type: write '{other}'",
            {"name": name, "other": other},
        )
    return name


VariableName = Annotated[
    str, AfterValidator(_variable_name), described(minLength=1, maxLength=LONGEST_NAME)
]


class Variable(BaseModel):
    """A placeholder that a version's sources may use.

    ``name`` is a path: ``user.name`` is the member ``name`` of the object ``user``, and
    ``items[].sku`` the member ``sku`` of each item of the array ``items``. A variable with a
    default is optional.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: VariableName
    type: Annotated[VariableType, BeforeValidator(_own_type)] = "any"
    required: bool = True
    default: Annotated[Any, AfterValidator(json_without_nul), AfterValidator(converted)] = None
    description: Description | None = None
    example: Annotated[Any, AfterValidator(json_without_nul), AfterValidator(converted)] = None

    def stored(self) -> dict[str, Any]:
        """Return the variable as JSON, without members that were left out."""
        return self.model_dump(mode="json", exclude_none=True)


def _named(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


def _unique_names(variables: list[Variable]) -> list[Variable]:
    names = [variable.name for variable in variables]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise PydanticCustomError(
            "declared_twice", "declared more than once: {names}", {"names": ", ".join(twice)}
        )
    return variables


Variables = Annotated[
    list[
        Annotated[Variable, BeforeValidator(_named, json_schema_input_type=VariableName | Variable)]
    ],
    Field(max_length=MOST_VARIABLES),
    AfterValidator(_unique_names),
]


class DeclaredVariable(Result):
    """A variable of a version; members that were not declared are left out."""

    name: str
    type: VariableType
    required: bool = True
    default: Any = None
    description: str = ""
    example: Any = None


Declarations = Annotated[list[dict[str, Any]], items_are("DeclaredVariable")]
