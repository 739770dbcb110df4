"""Rendering of templates from a restored backup, for the restore drill."""

from collections.abc import Sequence
from typing import Any, Final

import psycopg

from db.errors import OperationError
from tasks.errors import ServiceError, VariablesInvalid
from tasks.messages.render import RenderOne
from tasks.rendering.samples import BY_TYPE, TEXT
from tasks.rendering.variables import Declared, nested
from tasks.runtime import Runtime
from tasks.services.rendering import render
from tasks.work import Lookup

MOST: Final = 20
_BY_TYPE: Final = {**BY_TYPE, "array": [TEXT], "object": {}}
_NEWEST: Final = """
SELECT t.template_id, v.variables
FROM template_versions AS v
JOIN templates AS t ON t.id = v.template_id
WHERE v.is_current AND t.is_active AND t.deleted_at IS NULL AND t.type <> 'partial'
ORDER BY v.created_at DESC, v.id
LIMIT %s
"""


def render_newest(connection: psycopg.Connection, process: Runtime) -> list[str]:
    """Render the templates published last, by the path of ``render.one``.

    Parameters
    ----------
    connection
        To the restored database.
    process
        Has the render process.

    Returns
    -------
    list
        ``template_id version`` of each template that was rendered. Templates that do not render
        with values made up from their variables' types are left out.

    Raises
    ------
    OperationError
        ``render_failed``, naming the template and the code of the error.
    """
    rendered = []
    for template_id, variables in connection.execute(_NEWEST, [MOST]).fetchall():
        message = RenderOne(template_id=template_id, variables=_values(variables))
        try:
            answer = render(message, Lookup(connection, process))
        except VariablesInvalid:
            # Only its author knows what this one needs.
            continue
        except ServiceError as error:
            raise OperationError(
                "render_failed",
                f"template {template_id} of the backup cannot be rendered: {error}",
                "check the template in the live database, publish it again, and take a new backup",
            ) from None
        rendered.append(f"{template_id} {answer.facts['version']}")
    return rendered


def _values(declared: Sequence[Declared]) -> dict[str, Any]:
    return nested({variable["name"]: _value(variable) for variable in declared})


def _value(variable: Declared) -> Any:  # noqa: ANN401 - any JSON value
    for name in ("example", "default"):
        if variable.get(name) is not None:
            return variable[name]
    return _BY_TYPE.get(variable["type"], TEXT)
