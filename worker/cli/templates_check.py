"""``template-service templates new`` and ``check``: what needs no service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from worker.cli.base import Command
from worker.cli.options import json_option
from worker.cli.output import print_json
from worker.cli.templates_session import TYPES, folder_option, ids_argument, prefix_of

if TYPE_CHECKING:
    from worker.authoring.check import Checked


@click.command(cls=Command, example="templates new welcome --type email\ntemplates new news --mjml")
@click.argument("template_id", metavar="TEMPLATE")
@click.option(
    "--type", "type_", type=click.Choice(TYPES), default="email", show_default=True,
    help="Type of the template.",
)  # fmt: skip
@click.option("--mjml", is_flag=True, help="Write the body in MJML; for type email.")
@folder_option
@json_option
def new(*, template_id: str, type_: str, mjml: bool, folder: Path, json_: bool) -> None:
    """Create the folder of a new template, with a text and a sample that pass the check."""
    from worker.authoring.scaffold import create

    if mjml and type_ != "email":
        raise click.UsageError("--mjml is for templates of type email")
    files = create(folder, template_id, type_, mjml=mjml)
    if json_:
        print_json({"template_id": template_id, "files": files})
        return
    for file in files:
        print(folder / file)


@click.command(
    cls=Command,
    example="templates check\ntemplates check welcome --update\ntemplates check --format github",
)
@ids_argument
@folder_option
@click.option("--update", is_flag=True, help="Rewrite the samples' expected output.")
@click.option(
    "--languages",
    default="",
    help="Languages that each template must have, such as de,fr (default: a warning for "
    "languages that other templates have).",
)
@click.option("--strict", is_flag=True, help="Exit with status 1 for warnings, too.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "github", "sarif", "json"]),
    default="text",
    show_default=True,
    help="Format of the findings.",
)
@json_option
def check(  # noqa: PLR0913 - options of a command
    *,
    ids: tuple[str, ...],
    folder: Path,
    update: bool,
    languages: str,
    strict: bool,
    format_: str,
    json_: bool,
) -> None:
    """Check templates as a publish does, offline. Exits 1 if there are errors."""
    from worker.authoring.offline import checked_folder, language_list

    required = language_list(languages)
    result, count = checked_folder(folder, ids, languages=required, update=update)
    _print(result, "json" if json_ else format_, prefix_of(folder), count)
    if result.errors or (strict and result.findings):
        raise SystemExit(1)


def _print(result: Checked, format_: str, prefix: str, count: int) -> None:
    from worker.authoring import reports

    if format_ == "json":
        print_json(
            {
                "checked": count,
                "passed": sorted(result.passed),
                "updated": sorted(result.updated),
                "findings": [each.as_json() for each in result.findings],
            }
        )
    elif format_ == "sarif":
        print(reports.as_sarif(result.findings, prefix))
    elif format_ == "github":
        if result.findings:
            print(reports.as_github(result.findings, prefix))
    else:
        if result.findings:
            print(reports.as_text(result.findings, prefix))
        for file in sorted(result.updated):
            print(f"updated {Path(prefix) / file}")
        print(reports.summary(result.findings, count))
