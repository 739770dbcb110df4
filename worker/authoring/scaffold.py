"""New templates: a folder with texts, a translation and a sample that pass the check."""

import json
from pathlib import Path
from typing import Any, Final

from db.errors import Kind, OperationError
from tasks.messages.fields import TEMPLATE_ID
from tasks.rendering.texts import Sources
from worker.authoring import layout
from worker.authoring.definition import MJML, Definition
from worker.authoring.files import write
from worker.authoring.writing import write_template

_NAME: Final[dict[str, Any]] = {
    "name": "name",
    "type": "string",
    "required": True,
    "description": "How the reader is addressed.",
    "example": "Ada",
}
_HTML: Final = """\
<!DOCTYPE html>
<html lang="{{ language }}" dir="{{ dir }}">
<head><meta charset="utf-8"><title>Hello</title></head>
<body>
<p>Hello {{ name }},</p>
<p>this is the first text of a new template.</p>
</body>
</html>
"""
_MJML_BODY: Final = """\
<mjml>
  <mj-body>
    <mj-section>
      <mj-column>
        <mj-text>Hello {{ name }}, this is the first text of a new template.</mj-text>
      </mj-column>
    </mj-section>
  </mj-body>
</mjml>
"""
_JSON: Final = """\
{
  "text": "Hello {{ name }}"
}
"""
_SOURCES: Final = {
    "email": Sources("Hello {{ name }}", _HTML, preheader="The first text of a new template"),
    "in_app": Sources(None, "<p>Hello {{ name }}</p>\n"),
    "sms": Sources(None, "Hello {{ name }}"),
    "push": Sources("Hello", "Hello {{ name }}"),
    "json": Sources(None, _JSON),
    "partial": Sources(None, "<p>Hello {{ name }}</p>\n"),
}


def create(root: Path, template_id: str, template_type: str, *, mjml: bool = False) -> list[str]:
    """Make the folder of a new template; return its files.

    Raises
    ------
    OperationError
        The id is invalid, or the folder exists.
    """
    if TEMPLATE_ID.match(template_id) is None:
        raise OperationError(
            "template_id",
            f"'{template_id}' cannot be a template_id",
            "use lower-case letters, digits, '_', '.' and '-', the first a letter or digit",
        )
    folder = root / template_id
    if folder.exists() or folder.is_symlink():
        raise OperationError(Kind.EXISTS, f"{folder} already exists", "choose another template_id")
    own = _SOURCES[template_type]
    if mjml:
        own = own._replace(body=_MJML_BODY)
    definition = Definition(
        template_id=template_id,
        name=template_id.replace("-", " ").replace("_", " ").capitalize(),
        type=template_type,
        own=own,
        format=MJML if mjml else None,
        variables=[_NAME],
        version_metadata={"language": "en"},
    )
    files = write_template(root, folder, definition)
    sample = {"language": "en", "variables": {"name": "Ada"}}
    name = f"{layout.SAMPLES}/ada.json"
    write(root, folder / name, f"{json.dumps(sample, indent=2)}\n".encode())
    return [f"{template_id}/{file}" for file in [*files, name]]
