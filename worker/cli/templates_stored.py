"""``template-service templates``: commands for the stored templates."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from worker.cli.base import Command
from worker.cli.options import Moment, json_option, yes_option
from worker.cli.output import confirm, print_json, print_result, print_table
from worker.cli.templates_session import TYPES, call, id_argument, open_producer

if TYPE_CHECKING:
    from datetime import datetime

version_option = click.option("--version", help="Name of a version (default: the current one).")
language_option = click.option("--language", help="Language, such as de-AT.")
expected_option = click.option(
    "--expected-version",
    help="Version that must be the current one; otherwise the command is refused.",
)


@click.command("list", cls=Command, example="templates list --type email --prefix order-")
@click.option("--type", "type_", type=click.Choice(TYPES), help="Type of the templates.")
@click.option("--category", help="Category of the templates.")
@click.option("--prefix", help="Beginning of the template_id.")
@click.option("--tag", help="Tag, from metadata.tags.")
@click.option("--text", help="Text in the id, the name, the description or a source.")
@json_option
def list_(*, json_: bool, type_: str | None, **filters: str | None) -> None:
    """List templates with their current versions."""
    found: list[dict[str, Any]] = []
    given = {key: value for key, value in {"type": type_, **filters}.items() if value is not None}
    with open_producer() as producer:
        after: str | None = None
        while True:
            place = {} if after is None else {"after": after}
            page = producer.call("template.list", {**given, **place, "limit": 200})
            found += page["templates"]
            after = page["next"]
            if after is None:
                break
    if json_:
        print_json(found)
        return
    rows = [
        {
            "template_id": each["template_id"],
            "type": each["type"],
            "category": each["category"],
            "version": each["current_version"],
            "active": "yes" if each["is_active"] else "no",
            "name": each["name"],
        }
        for each in found
    ]
    print_table(rows, empty="no templates")


@click.command(cls=Command, example="templates show welcome --language de")
@id_argument
@version_option
@language_option
@json_option
def show(*, template_id: str, version: str | None, language: str | None, json_: bool) -> None:
    """Show a template: its version, languages, variables and texts."""
    keywords = {"template_id": template_id, "version": version, "language": language}
    details = call("template.get", keywords)
    if json_:
        print_json(details)
        return
    for key, value in details["template"].items():
        print(f"{key}: {_shown(value)}")
    shown = details["version"]
    if shown is None:
        return
    languages = ", ".join(f"{each['language']} ({each['state']})" for each in details["languages"])
    print(f"version: {shown['version']}\nlanguages: {languages}")
    for variable in shown["variables"]:
        print(f"variable: {json.dumps(variable, ensure_ascii=False)}")
    text = details["text"] or shown
    for part in ("subject", "preheader", "body", "text"):
        if text[part] is not None:
            print(f"\n--- {part}\n{text[part]}")


@click.command(
    cls=Command,
    example='templates render welcome --language de --values \'{"name": "Ada"}\'\n'
    "templates render welcome --values sample.json --part text",
)
@id_argument
@click.option("--values", default="{}", help="Values as a JSON object, or a file with one.")
@version_option
@language_option
@click.option("--part", default="body", show_default=True, help="Part to print, such as subject.")
@json_option
def render(  # noqa: PLR0913 - options of a command
    *,
    template_id: str,
    values: str,
    version: str | None,
    language: str | None,
    part: str,
    json_: bool,
) -> None:
    """Render a template of the service, and print one part of it."""
    keywords = {
        "template_id": template_id,
        "variables": _values(values),
        "version": version,
        "language": language,
    }
    rendered = call("render.one", keywords)
    if json_:
        print_json(rendered)
        return
    if rendered.get(part) is None:
        parts = ", ".join(key for key in _PARTS if rendered.get(key) is not None)
        raise click.ClickException(f"{part} is not a part of the answer; available: {parts}")
    text = _shown(rendered[part])
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


_PARTS = ("subject", "preheader", "body", "text", "title", "document")


@click.command(cls=Command, example="templates history welcome")
@id_argument
@json_option
def history(*, template_id: str, json_: bool) -> None:
    """List the versions of a template, the newest first."""
    versions = call("version.list", {"template_id": template_id})
    if json_:
        print_json(versions)
        return
    rows = [
        {
            "version": each["version"],
            "state": _state(each),
            "created": each["created_at"],
            "languages": ", ".join(
                text["language"] + (" (stale)" if text["state"] == "stale" else "")
                for text in each["languages"]
            ),
        }
        for each in versions["versions"]
    ]
    print_table(rows, empty="no version yet")


@click.command(cls=Command, example="templates diff welcome 3 4")
@id_argument
@click.argument("from_version", metavar="FROM")
@click.argument("to_version", metavar="TO")
@json_option
def diff(*, template_id: str, from_version: str, to_version: str, json_: bool) -> None:
    """Show what changes from one version of a template to another."""
    keywords = {
        "template_id": template_id,
        "from_version": from_version,
        "to_version": to_version,
    }
    found = call("version.diff", keywords)
    if json_:
        print_json(found)
        return
    for part in ("subject", "preheader", "body", "text"):
        _print_diff(part, found[part])
    for text in found["languages"]["changed"]:
        for part in ("subject", "preheader", "body", "text"):
            _print_diff(f"translations.{text['language']}.{part}", text[part])
    for what in ("variables", "metadata", "languages"):
        for kind in ("added", "removed"):
            for each in found[what][kind]:
                print(f"{what}: {kind} {_shown(each)}")
    for each in found["variables"]["changed"]:
        print(f"variables: changed {each['name']}")
    for each in found["breaking"]:
        print(f"breaking: {each['path']}: {each['message']}")


@click.command(
    cls=Command,
    example="templates activate welcome 3\n"
    "templates activate welcome 4 --at 2026-12-01T09:00:00+01:00",
)
@id_argument
@click.argument("version")
@expected_option
@click.option("--at", type=Moment(), help="Time of the activation (default: now).")
@json_option
def activate(
    *,
    template_id: str,
    version: str,
    expected_version: str | None,
    at: datetime | None,
    json_: bool,
) -> None:
    """Make a version current, to roll back or forward."""
    keywords = {
        "template_id": template_id,
        "version": version,
        "expected_version": expected_version,
        "activate_at": None if at is None else at.isoformat(),
    }
    done = call("version.activate", keywords)
    sentence = f"version {done['version']} of {template_id} "
    if at is not None:
        sentence += f"becomes current at {at.isoformat()}"
    else:
        sentence += f"is current; before: {done['previous_version']}"
    print_result(done, sentence, json_=json_)


@click.command(cls=Command, example="templates unschedule welcome 3")
@id_argument
@click.argument("version")
@json_option
def unschedule(*, template_id: str, version: str, json_: bool) -> None:
    """Cancel a version's scheduled activation."""
    done = call("version.unschedule", {"template_id": template_id, "version": version})
    sentence = f"version {version} of {template_id} is no longer scheduled"
    if not done["cancelled"]:
        sentence = f"version {version} of {template_id} was not scheduled"
    print_result(done, sentence, json_=json_)


@click.command(cls=Command, example="templates delete welcome")
@id_argument
@yes_option
@json_option
def delete(*, template_id: str, yes: bool, json_: bool) -> None:
    """Delete a template; `templates restore` brings it back until it is purged."""
    confirm(f"Delete {template_id}?", yes=yes)
    done = call("template.delete", {"template_id": template_id})
    print_result(done, f"{template_id} is deleted", json_=json_)


@click.command(cls=Command, example="templates restore welcome")
@id_argument
@json_option
def restore(*, template_id: str, json_: bool) -> None:
    """Restore a deleted template."""
    done = call("template.restore", {"template_id": template_id})
    print_result(done, f"{template_id} is restored", json_=json_)


@click.command(
    "confirm", cls=Command, example="templates confirm welcome\ntemplates confirm welcome de fr"
)
@id_argument
@click.argument("languages", nargs=-1)
@json_option
def confirm_translations(*, template_id: str, languages: tuple[str, ...], json_: bool) -> None:
    """Mark stale translations as current: their text is still right and stays unchanged.

    Without LANGUAGES: all stale ones. Refused if the template has changed meanwhile.
    """
    with open_producer() as producer:
        (found,) = producer.call("template.export", {"template_ids": [template_id]})["templates"]
        texts = (found["version"] or {}).get("translations", {})
        missing = sorted(set(languages) - texts.keys())
        if missing:
            available = ", ".join(texts) or "none"
            raise click.ClickException(
                f"{template_id} has no translation {', '.join(missing)}; available: {available}"
            )
        stale = [
            language
            for language, text in texts.items()
            if text["state"] == "stale" and language in (languages or texts)
        ]
        for language in stale:
            sources = {name: value for name, value in texts[language].items() if name != "state"}
            message = {"template_id": template_id, "language_code": language, **sources}
            conditions = {
                "expected_version": found["current_version"],
                "expected_digest": found["digest"],
            }
            producer.call("translation.upsert", message | conditions)
    sentence = f"current in {template_id}: {', '.join(stale)}" if stale else "nothing is stale"
    done = {"template_id": template_id, "version": found["current_version"], "confirmed": stale}
    print_result(done, sentence, json_=json_)


@click.command(cls=Command, example="templates users footer")
@id_argument
@json_option
def users(*, template_id: str, json_: bool) -> None:
    """List the templates whose current versions use a partial."""
    found = call("template.get", {"template_id": template_id})["used_by"]
    if json_:
        print_json(found)
    else:
        print_table(found, empty=f"no template uses {template_id}")


def _print_diff(part: str, change: dict[str, Any]) -> None:
    if not change["changed"]:
        return
    print(f"--- {part}")
    print("\n".join(change["diff"]) if change["diff"] is not None else "too large to compare")


def _state(version: dict[str, Any]) -> str:
    if version["is_current"]:
        return "current"
    if version.get("activate_at"):
        return f"from {version['activate_at']}"
    return "draft" if version.get("is_draft") else ""


def _values(text: str) -> dict[str, Any]:
    """Return values from a JSON object on the command line, or from a file with one or a sample."""
    from worker.authoring.files import parse_json

    source = text
    if not text.lstrip().startswith("{"):
        try:
            source = Path(text).read_text(encoding="utf-8")
        except OSError as error:
            raise click.ClickException(f"--values {text}: {error.strerror}") from None
        except ValueError:
            raise click.ClickException(f"--values {text}: expected a file in UTF-8") from None
    try:
        values = parse_json(source)
    except (ValueError, RecursionError) as error:
        raise click.ClickException(f"--values is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise click.ClickException("--values is not a JSON object")
    is_sample = source is not text and values.keys() <= {"language", "variables"}
    return dict(values.get("variables", {})) if is_sample else values


def _shown(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
