"""How the parts are put together: tasks, messages, queues, the beat table, imports."""

import fnmatch
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
from celery import Celery
from pydantic import SecretStr

from tasks.base import ServiceTask
from tasks.errors import InvalidMessage
from tasks.messages.base import Message
from tasks.runs import numbers
from tasks.work import SHOWN, Answer
from tests.support.tasks import Tasks
from worker.declared_queues import DEAD_LETTERS, QUEUES
from worker.queues import CONSUMED, ROUTES, QueueName
from worker.results import RedisBackend
from worker.schedule import beat_schedule
from worker.settings import VARIABLES, Settings

NAMES = {
    "template.create",
    "template.update",
    "template.delete",
    "template.restore",
    "template.get",
    "template.list",
    "template.export",
    "version.publish",
    "version.activate",
    "version.unschedule",
    "version.list",
    "version.diff",
    "translation.upsert",
    "translation.delete",
    "bundle.apply",
    "render.one",
    "render.batch",
    "render.preview",
    "maintenance.vacuum",
    "maintenance.analyze",
    "maintenance.backup",
    "maintenance.verify_backup",
    "maintenance.base_backup",
    "maintenance.recovery_figures",
    "maintenance.recovery_drill",
    "maintenance.reindex",
    "maintenance.purge_templates",
    "maintenance.prune_versions",
    "maintenance.prune_records",
    "maintenance.activate_scheduled",
    "maintenance.report",
}
QUEUE_OF = {
    "template": "templates",
    "version": "templates",
    "translation": "templates",
    "bundle": "templates",
    "render": "render",
    "maintenance": "maintenance",
}
OWN_QUEUE = {"render.batch": "render-bulk", "maintenance.report": "monitoring"}
"""A batch must not keep a single render waiting, nor a drill the figures."""


@pytest.fixture(scope="module")
def settings() -> Settings:
    """Return settings of servers that are not there: nothing here connects."""
    return Settings(
        database_url=SecretStr("postgresql://localhost:1/none"),
        broker_url=SecretStr("redis://localhost:1/0"),
        result_backend=SecretStr("redis://localhost:1/1"),
    )


@pytest.fixture(scope="module")
def app(tasks: Tasks) -> Celery:
    """Return the app with its tasks, as a worker loads them.

    There is one in a process, so it is the one that the tests of tasks use.
    """
    tasks.app.finalize()
    return tasks.app


@pytest.fixture(scope="module")
def own(app: Celery) -> dict[str, ServiceTask]:
    """Return this service's tasks by name."""
    return {name: task for name, task in app.tasks.items() if not name.startswith("celery.")}


def test_the_tasks_are_those_of_the_contract(own: dict[str, ServiceTask]) -> None:
    """No name is missing, and none is there that nobody documented."""
    assert set(own) == NAMES


def test_every_task_has_a_message_and_words(own: dict[str, ServiceTask]) -> None:
    """What it takes is a model, and what it does is said in a sentence."""
    for name, task in own.items():
        assert isinstance(task, ServiceTask), name
        assert issubclass(task.message, Message), name
        assert (task.run.__doc__ or "").strip().endswith("."), name
        assert name in (task.message.__doc__ or "") or name.startswith("maintenance."), name


def test_every_task_goes_to_a_queue_that_is_declared_and_consumed(
    app: Celery, own: dict[str, ServiceTask]
) -> None:
    """A message on a queue that nobody reads waits for ever."""
    consumed = {queue.name for queue in app.conf.task_queues}
    for name in own:
        queue = app.amqp.router.route({}, name)["queue"].name
        assert queue == OWN_QUEUE.get(name, QUEUE_OF[name.split(".")[0]])
        assert queue in consumed


def test_queues_are_those_of_the_contract() -> None:
    """All are declared; dead letters are kept for people and consumed by no worker."""
    names = {"templates", "render", "render-bulk", "maintenance", "monitoring", "dead-letters"}
    assert {name.value for name in QueueName} == names
    assert {queue.name for queue in QUEUES} == {name.value for name in CONSUMED}
    assert {queue.name for queue in QUEUES} | {DEAD_LETTERS.name} == names
    assert DEAD_LETTERS.name not in {queue.name for queue in QUEUES}


def test_every_route_leads_to_a_declared_queue() -> None:
    """No task name of the contract is without a route."""
    declared = {queue.name for queue in QUEUES}
    assert {route["queue"] for route in ROUTES.values()} == declared
    for name in NAMES:
        assert any(fnmatch.fnmatch(name, pattern) for pattern in ROUTES)


def test_the_beat_table_holds_registered_tasks_only(
    own: dict[str, ServiceTask], settings: Settings
) -> None:
    """Every entry is a task that exists, with a message that fits, on its own queue."""
    table = beat_schedule(settings)
    assert set(table) == {name for name in NAMES if name.startswith("maintenance.")}
    for name, entry in table.items():
        assert entry["task"] == name
        own[name].message.model_validate(entry.get("kwargs", {}))
        assert entry["options"]["queue"] == OWN_QUEUE.get(name, "maintenance")


def test_a_report_that_waits_for_a_minute_is_dropped(settings: Settings) -> None:
    """The next one is due by then, and says more."""
    assert beat_schedule(settings)["maintenance.report"]["options"]["expires"] < 60


def test_each_entry_of_the_beat_table_has_a_setting(settings: Settings) -> None:
    """An operator moves a run by the setting of its name."""
    for name, entry in beat_schedule(settings).items():
        variable = VARIABLES[f"TEMPLATE_SERVICE_SCHEDULE_{name.partition('.')[2].upper()}"]
        assert variable.path == ("schedule", name)
        schedule = settings.schedule | {name: "59 23 31 12 *"}
        moved = settings.model_copy(update={"schedule": schedule})
        assert beat_schedule(moved)[name]["schedule"] != entry["schedule"]


def test_the_result_backend_is_the_service_s_own(app: Celery) -> None:
    """Although Celery prefers the one that the environment names."""
    assert isinstance(app.backend, RedisBackend)


def test_messages_survive_a_crash_and_are_json(app: Celery) -> None:
    """What the promises of the contract rest on."""
    assert app.conf.accept_content == ["json"]
    assert app.conf.result_accept_content == ["json"]
    assert app.conf.task_serializer == app.conf.result_serializer == "json"
    assert app.conf.task_acks_late is True
    assert app.conf.task_time_limit * 2 < app.conf.broker_transport_options["visibility_timeout"]
    assert app.conf.task_soft_time_limit < app.conf.task_time_limit


def test_positional_arguments_are_refused(own: dict[str, ServiceTask]) -> None:
    """Keyword arguments are the contract: a new field must not shift the others."""
    for task in own.values():
        refused = task.apply(args=("welcome",)).result
        assert isinstance(refused, InvalidMessage)
        assert [problem["path"] for problem in refused.details] == ["args"]


@pytest.mark.parametrize("name", ["self", "args", "arguments", "keywords"])
def test_a_keyword_named_as_a_parameter_of_python_is_refused_as_unknown(
    own: dict[str, ServiceTask], name: str
) -> None:
    """It is an answer of the contract like any other, no TypeError."""
    for task in own.values():
        refused = task.apply(kwargs={name: 1}).result
        assert isinstance(refused, InvalidMessage)
        assert name in [problem["path"] for problem in refused.details]


def test_an_answer_shows_ids_and_sizes_only() -> None:
    """Celery logs the ``repr`` of an answer and sends it to Flower."""
    payload = {
        "template_id": "welcome",
        "version": "3",
        "language": "de",
        "subject": "SEKRET",
        "body": "SEKRET" * 10,
        "variables": {"name": "SEKRET"},
        "translation": {"body": "SEKRET"},
        "name": "SEKRET",
        "unused": ["SEKRET"],
    }
    shown = repr(Answer(payload))
    assert shown == "<template_id=welcome version=3 language=de characters=60>"


def test_an_answer_never_shows_nested_things() -> None:
    """A name that is an id in one answer and an object in another is not shown as object."""
    assert repr(Answer({name: {"a": "SEKRET"} for name in SHOWN})) == "<>"


def test_an_answer_of_maintenance_shows_its_numbers() -> None:
    """In the log and in Flower's row."""
    result = {"dry_run": False, "skipped": False, "tables": {"templates": 0.1}, "rows": 7}
    assert repr(Answer(result, figures=numbers(result))) == "<tables=1 rows=7>"


def test_a_producer_imports_messages_without_the_service(checkout: Path) -> None:
    """Neither Celery nor SQLAlchemy, nor the template engine, comes along."""
    files = (checkout / "tasks" / "messages").glob("*.py")
    modules = sorted(f"tasks.messages.{file.stem}" for file in files if file.stem != "__init__")
    code = (
        f"import {', '.join(modules)}, tasks.errors, json, sys; print(json.dumps([*sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=checkout, capture_output=True, text=True, check=True
    )
    loaded = json.loads(done.stdout)
    assert set(loaded) >= set(modules)
    packages = {name.split(".")[0] for name in loaded}
    assert not packages & {"celery", "kombu", "sqlalchemy", "psycopg", "minijinja", "db", "worker"}


def test_backup_restore_does_not_import_celery(checkout: Path) -> None:
    """A restore works while the broker is away, and starts without what it does not use."""
    code = (
        "from worker.cli.operator import operator_configuration; "
        "import json, sys, worker.cli.backup_restore; operator_configuration(); "
        "print(json.dumps([*sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=checkout,
        env={"DATABASE_URL": "postgresql://user@host/database"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert {"celery", "kombu"}.isdisjoint(json.loads(done.stdout))


def test_public_things_say_what_they_do() -> None:
    """Each field of a setting has a meaning, which the example file repeats."""
    for name, variable in VARIABLES.items():
        assert variable.description.endswith("."), name
    assert inspect.getdoc(Settings)
