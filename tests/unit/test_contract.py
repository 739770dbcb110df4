"""The machine-readable contract: valid, current, as strict as the models; and what breaks it."""

import copy
import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator
from pydantic import ValidationError

from tasks.errors import Code
from tasks.messages.base import parse
from tasks.messages.templates import CreateTemplate
from tasks.messages.versions import PublishVersion
from tasks.rendering.limits import Limits
from tests.support.cases import each
from tests.support.clients import CLIENTS, body_of
from tests.support.contract import errors_of, validator
from worker.cli import main
from worker.contract import asyncapi, breaking_changes, declared_tasks, json_schemas

Json = dict[str, Any]
TASKS: Final = {task.name: task for task in declared_tasks()}


@cache
def contract() -> Json:
    """Return the contract."""
    return asyncapi()


def test_it_is_asyncapi(checkout: Path) -> None:
    """By the official schema, which tests/data has from the package @asyncapi/specs."""
    official = json.loads((checkout / "tests" / "data" / "asyncapi-3.1.0.json").read_text())
    problems = [
        f"{list(problem.path)}: {problem.message}"
        for problem in Draft7Validator(official).iter_errors(contract())
    ]
    assert problems == []
    Draft202012Validator.check_schema(json_schemas())


def test_the_committed_copy_is_current(checkout: Path) -> None:
    """``make contract`` writes it."""
    assert json.loads((checkout / "docs" / "contract.json").read_text()) == contract()


def test_every_reference_leads_somewhere() -> None:
    """In both forms."""
    for document in (contract(), json_schemas()):
        for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
            found: Any = document
            for step in reference.split("/"):
                assert step in found, reference
                found = found[step]


@each("name", TASKS)
def test_every_example_matches_model_and_schema(name: str) -> None:
    """And an unknown keyword matches neither."""
    task = TASKS[name]
    examples = contract()["components"]["schemas"][task.message.__name__]["examples"]
    assert examples
    for example in examples:
        parse(task.message, example, Limits())
        assert errors_of(task.message.__name__, example) == []
        assert errors_of(task.message.__name__, example | {"colour": "red"})


@each("client", CLIENTS)
def test_the_schemas_of_the_envelope_match_what_clients_send(client: str) -> None:
    """Headers, properties, callbacks and signatures of clients in several languages."""
    message = json.loads(json.dumps(CLIENTS[client]()))
    assert errors_of("RedisEntry", message) == []
    *_, embed = body_of(message)
    assert errors_of("CeleryCallbacks", embed) == []


def _without_last_line_feed(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Leave out what "$" means in Python alone: in JSON Schema it is the end of the text."""
    return texts.filter(lambda text: not text.endswith("\n"))


IDS: Final = _without_last_line_feed(st.text("ab9._-A\n\x00é", max_size=4) | st.text(max_size=4))
LINES: Final = _without_last_line_feed(
    st.text(max_size=3) | st.sampled_from(["a\u202eb", "a\x85", "a\nb", "", "x" * 256])
)


@given(IDS, IDS, LINES)
def test_patterns_are_those_of_the_models(template_id: str, version: str, name: str) -> None:
    """What the schema takes of ids and names, the model takes, and the other way round."""
    new = {"template_id": template_id, "name": name, "type": "email"}
    assert is_valid(CreateTemplate, new) == (errors_of("CreateTemplate", new) == [])
    text = {"template_id": "a", "body": "b", "version": version}
    assert is_valid(PublishVersion, text) == (errors_of("PublishVersion", text) == [])


def is_valid(model: Any, keywords: Json) -> bool:  # noqa: ANN401 - a model
    """Tell whether a model takes these keywords."""
    try:
        model.model_validate(keywords)
    except ValidationError:
        return False
    return all(character < "\ud800" or character > "\udfff" for character in str(keywords))


def test_a_release_is_broken_by_a_new_version_only(checkout: Path) -> None:
    """``make check`` runs the same; docs/contract-released.json is the last release's contract."""
    released = checkout / "docs" / "contract-released.json"
    result = CliRunner().invoke(main, ["contract", "--against", str(released)])
    assert result.exit_code == 0, result.output


Change = Callable[[Json], None]


def schema(document: Json, name: str) -> Json:
    """Return one of the schemas."""
    found: Json = document["components"]["schemas"][name]
    return found


def member(document: Json, name: str, key: str) -> Json:
    """Return the schema of a member."""
    found: Json = schema(document, name)["properties"][key]
    return found


def changed(place: Json, **keywords: Any) -> None:  # noqa: ANN401 - JSON
    """Replace what a schema says."""
    place.clear()
    place.update(keywords)


BREAKING: Final[dict[str, tuple[Change, str]]] = {
    "a field removed": (
        lambda it: schema(it, "RenderOne")["properties"].pop("language"),
        "render.one: language: was removed",
    ),
    "a field of a result removed": (
        lambda it: schema(it, "Rendered")["properties"].pop("body"),
        "render.one: result.body: was removed",
    ),
    "a type changed": (
        lambda it: changed(member(it, "RenderOne", "template_id"), type="integer"),
        "render.one: template_id: type changed: was string, is integer",
    ),
    "a type of a result changed": (
        lambda it: changed(member(it, "Rendered", "stale"), type="string"),
        "render.one: result.stale: type changed: was boolean, is string",
    ),
    "null no longer taken": (
        lambda it: member(it, "RenderOne", "version")["anyOf"].pop(),
        "render.one: version: type changed: no longer null",
    ),
    "a result that may be null": (
        lambda it: changed(
            member(it, "Rendered", "body"), anyOf=[{"type": "string"}, {"type": "null"}]
        ),
        "render.one: result.body: type changed: now also null",
    ),
    "required added": (
        lambda it: schema(it, "RenderOne")["required"].append("language"),
        "render.one: language: is required now",
    ),
    "a field of a result that may be missing": (
        lambda it: schema(it, "Rendered")["required"].remove("body"),
        "render.one: result.body: may be missing now",
    ),
    "a limit tightened": (
        lambda it: member(it, "CreateTemplate", "name").update(maxLength=100),
        "template.create: name: the limit maxLength was 255, is 100",
    ),
    "a limit added": (
        lambda it: member(it, "RenderBatch", "items").update(minItems=1),
        "render.batch: items: the limit minItems was none, is 1",
    ),
    "a limit of a nested model tightened": (
        lambda it: member(it, "Text", "body").update(maxLength=10),
        "version.publish: translations.*.body: the limit maxLength was 262144, is 10",
    ),
    "a pattern changed": (
        lambda it: member(it, "GetTemplate", "template_id").update(pattern="^[a-z]+$"),
        "template.get: template_id: the limit pattern was",
    ),
    "an enum narrowed": (
        lambda it: member(it, "CreateTemplate", "type")["enum"].remove("sms"),
        'template.create: type: the value "sms" was removed',
    ),
    "an enum added": (
        lambda it: member(it, "CreateTemplate", "template_id").update(enum=["a"]),
        'template.create: template_id: only "a" are allowed now',
    ),
    "a default changed": (
        lambda it: member(it, "RenderOne", "fallback").update(default="strict"),
        'render.one: fallback: the default was "closest", is "strict"',
    ),
    "members restricted": (
        lambda it: member(it, "RenderOne", "variables").update(
            additionalProperties={"type": "string"}
        ),
        "render.one: variables: additionalProperties is restricted now",
    ),
    "an error code removed": (
        lambda it: it["x-error-codes"].pop(0),
        "errors: invalid_message: the error code was removed",
    ),
    "a task removed": (
        lambda it: it["operations"].pop("render.one"),
        "the task render.one was removed",
    ),
    "a queue changed": (
        lambda it: it["operations"]["render.one"].update(channel={"$ref": "#/channels/other"}),
        "render.one: queue: was render, is other",
    ),
    "a setting's limit lowered": (
        lambda it: it["x-limits"]["TEMPLATE_SERVICE_LIMIT_BATCH_ITEMS"].update(default=10),
        "limits: TEMPLATE_SERVICE_LIMIT_BATCH_ITEMS: was 1000, is 10",
    ),
    "a header that is required": (
        lambda it: schema(it, "CeleryHeaders")["required"].append("origin"),
        "CeleryHeaders: origin: is required now",
    ),
    "a member of callbacks that is required": (
        lambda it: schema(it, "CelerySignature")["required"].append("kwargs"),
        "CeleryCallbacks: callbacks[].kwargs: is required now",
    ),
    "a member of a refusal removed": (
        lambda it: schema(it, "Refusal")["properties"].pop("exc_message"),
        "Refusal: exc_message: was removed",
    ),
    "a member of a stored answer removed": (
        lambda it: it["components"]["messages"]["render.one.result"]["payload"]["properties"].pop(
            "status"
        ),
        "render.one: status: was removed",
    ),
    "the key of answers changed": (
        lambda it: it["channels"]["results"].update(address="answers-{taskId}"),
        "channels: results: the address was celery-task-meta-{taskId}, is answers-{taskId}",
    ),
    "the type of contents changed": (
        lambda it: it.update(defaultContentType="application/yaml"),
        "messages: content type: was application/json, is application/yaml",
    ),
    "an answer that no longer comes": (
        lambda it: it["operations"]["render.one"].pop("reply"),
        "render.one: reply: changed",
    ),
    "a restriction of another kind": (
        lambda it: member(it, "RenderBatch", "items").update(uniqueItems=True),
        "render.batch: items: the restriction uniqueItems was added or changed",
    ),
    "members of a mapping refused": (
        lambda it: member(it, "PublishVersion", "translations").update(additionalProperties=False),
        "version.publish: translations: additionalProperties is restricted now",
    ),
    "members of a result of any type": (
        lambda it: member(it, "MaintainedTables", "tables").update(additionalProperties=True),
        "maintenance.analyze: result.tables: additionalProperties is no longer restricted now",
    ),
    "the format of a result": (
        lambda it: member(it, "Report", "at").pop("format"),
        "maintenance.report: result.at: the format was date-time, is none",
    ),
    "a limit next to several types": (
        lambda it: member(it, "RenderOne", "version").update(maxLength=2),
        "render.one: version: the limit maxLength was none, is 2",
    ),
}


@each("name", BREAKING)
def test_a_change_that_breaks_producers_is_reported(name: str) -> None:
    """Whichever it is, with its place, what was there and what is there now."""
    change, expected = BREAKING[name]
    after = copy.deepcopy(contract())
    change(after)
    reported = [str(each) for each in breaking_changes(contract(), after)]
    assert [line for line in reported if line.startswith(expected)], reported


@each("name", BREAKING)
def test_the_way_back_is_no_break_where_it_only_adds(name: str) -> None:
    """Additions and wider limits are none; what goes both ways breaks both ways."""
    both_ways = ("type", "pattern", "queue", "default", "setting", "null", "key of")
    change, expected = BREAKING[name]
    before = copy.deepcopy(contract())
    change(before)
    reported = [str(each) for each in breaking_changes(before, contract())]
    if not any(word in name for word in both_ways):
        assert reported == [], expected


def test_additions_break_nothing() -> None:
    """New tasks, optional keywords, members of results, values, codes; wider types and limits."""
    after = copy.deepcopy(contract())
    after["operations"]["render.more"] = after["operations"]["render.one"]
    schema(after, "RenderOne")["properties"]["tone"] = {"type": "string"}
    schema(after, "Rendered")["properties"]["tone"] = {"type": "string"}
    schema(after, "Rendered")["required"].append("tone")
    member(after, "CreateTemplate", "type")["enum"].append("fax")
    member(after, "CreateTemplate", "name")["maxLength"] = 300
    member(after, "ListTemplates", "limit")["maximum"] = 500
    member(after, "Rendered", "subject")["anyOf"].pop()
    changed(member(after, "RenderOne", "variables"))
    schema(after, "Refusal")["properties"]["tone"] = {"type": "string"}
    schema(after, "CeleryHeaders")["properties"]["tone"] = {"type": "string"}
    after["x-error-codes"].append({"code": "new", "exc_type": "New", "may_be_sent_again": False})
    after["x-limits"]["TEMPLATE_SERVICE_LIMIT_BATCH_ITEMS"]["default"] = 2000
    assert breaking_changes(contract(), after) == []


def test_a_breaking_change_ends_the_command_with_an_error(tmp_path: Path) -> None:
    """Until the version announces it; the report can be read by a program."""
    before = copy.deepcopy(contract())
    schema(before, "RenderOne")["properties"]["colour"] = {"type": "string"}
    file = tmp_path / "released.json"
    file.write_text(json.dumps(before))
    arguments = ["contract", "--against", str(file)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert result.output == "render.one: colour: was removed\n"
    result = CliRunner().invoke(main, [*arguments, "--json"])
    assert json.loads(result.output) == [
        {"task": "render.one", "path": "colour", "message": "was removed"}
    ]
    before["info"]["version"] = "0.0.9"
    file.write_text(json.dumps(before))
    assert CliRunner().invoke(main, arguments).exit_code == 0
    file.write_text("{}")
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "not a contract" in result.output


def test_every_code_and_limit_is_in_it() -> None:
    """Each code with the class that clients get, and whether sending again may help."""
    codes = contract()["x-error-codes"]
    assert [each["code"] for each in codes] == list(Code)
    assert [each["code"] for each in codes if each["may_be_sent_again"]] == [Code.UNAVAILABLE]
    assert all(each["meaning"].endswith(".") for each in codes)
    assert len(contract()["x-limits"]) > 10


def test_the_validator_of_results_is_strict() -> None:
    """It is what the tests of documents compare real answers with."""
    assert not validator("Change").is_valid({"path": "a", "type": "b", "message": "c", "more": 1})
