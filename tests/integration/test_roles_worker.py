"""A worker as the application role: it does all of its work, and nothing else."""

from collections.abc import Iterator
from functools import partial

import psycopg
import pytest
from click.testing import CliRunner

from db.roles.names import Names
from tests.factories import templates
from tests.support.producer import Producer
from tests.support.roles import applied
from tests.support.stacks import small_stack
from worker.cli import main
from worker.local import LocalStack

APP = Names().of("app")
# A failed REINDEX CONCURRENTLY leaves such a one.
LEFTOVER = """
CREATE INDEX idx_templates_type_ccnew ON templates (type);
UPDATE pg_index SET indisvalid = false
WHERE indexrelid = 'idx_templates_type_ccnew'::regclass
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """Servers, and a worker with two roles that are no superusers."""
    directory = tmp_path_factory.mktemp("roles")
    with small_stack(directory, workers=0) as stack:
        with psycopg.connect(stack.postgres.url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE other")
            connection.execute("CREATE SCHEMA hidden")
            connection.execute("CREATE TABLE hidden.secrets (id int)")
        # As a superuser: it changes settings of the server.
        setup = CliRunner().invoke(main, ["pitr", "setup", "--yes"], env=stack.addresses())
        assert setup.exit_code == 0, setup.output
        stack.postgres.restart()
        stack._extra |= applied(stack.postgres.url, directory / "secrets", "--close-others")
        stack._launch("worker", stack._worker_command("worker"), stop_timeout=30)
        stack._wait_for("worker", partial(stack._worker_answers, "worker"))
        yield stack


@pytest.fixture(scope="module")
def producer(stack: LocalStack) -> Iterator[Producer]:
    """Give a producer on the broker of that worker."""
    with Producer.of(stack) as producer:
        yield producer


@pytest.fixture(scope="module")
def app(stack: LocalStack) -> Iterator[psycopg.Connection]:
    """Connect as the worker does."""
    with psycopg.connect(stack._extra["DATABASE_URL"], autocommit=True) as connection:
        yield connection


class TestWorker:
    """The worker has all rights that its tasks need."""

    def test_the_worker_connects_as_its_role(self, stack: LocalStack, producer: Producer) -> None:
        """Else the other tests would show nothing."""
        templates.created(producer)
        with psycopg.connect(stack.postgres.url) as connection:
            users = connection.execute(
                "SELECT DISTINCT usename FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchall()
        assert users == [(APP,)]

    def test_every_kind_of_task_runs_as_the_application_role(self, producer: Producer) -> None:
        """Create, publish, translate, render, read, roll back, delete and restore."""
        template = templates.created(producer, type="sms")
        for body in ("Hello {{ name }}", "Dear {{ name }}"):
            producer.call("version.publish", {"template_id": template, "body": body})
        both = templates.versions(producer, template)
        one = {"template_id": template}
        german = one | {"language_code": "de"}
        producer.call("translation.upsert", german | {"body": "Liebe {{ name }}"})
        render = one | {"variables": {"name": "Ada"}}
        assert producer.call("render.one", render)["body"] == "Dear Ada"
        assert producer.call("render.one", render | {"language": "de"})["body"] == "Liebe Ada"
        items = [{"key": "1", "variables": {"name": "Bob"}}]
        batch = producer.call("render.batch", one | {"items": items}, queue="render-bulk")
        assert batch["rendered"] == 1
        preview = {"type": "sms", "body": "{{ a }}", "variables": {"a": "1"}}
        assert producer.call("render.preview", preview)["body"] == "1"
        producer.call("translation.delete", german)
        producer.call("version.activate", one | {"version": both[-1]["version"]})
        assert producer.call("render.one", render)["body"] == "Hello Ada"
        two = {"from_version": both[-1]["version"], "to_version": both[0]["version"]}
        assert producer.call("version.diff", one | two)
        producer.call("template.update", one | {"name": "New"})
        assert producer.call("template.get", one)["template"]["name"] == "New"
        assert producer.call("template.list", {"limit": 1})
        producer.call("template.delete", one)
        producer.call("template.restore", one)

    def test_every_maintenance_task_runs_as_its_own_role(
        self, stack: LocalStack, producer: Producer
    ) -> None:
        """All that the worker has, for real; it drops an invalid index, which only owners may."""
        templates.published(producer)
        with psycopg.connect(stack.postgres.url, autocommit=True) as connection:
            connection.execute(LEFTOVER)
        (registered,) = producer.app.control.inspect().registered().values()
        upkeep = sorted(name for name in registered if name.startswith("maintenance."))
        assert "maintenance.reindex" in upkeep
        failed = {}
        for task in upkeep:
            stored = producer.stored(producer.send(task))
            if stored["status"] != "SUCCESS":
                failed[task] = stored["result"]
        assert failed == {}
        with psycopg.connect(stack.postgres.url) as connection:
            index = connection.execute("SELECT to_regclass('idx_templates_type_ccnew')").fetchone()
        assert index == (None,)


class TestCommands:
    """What an operator looks at needs no superuser either."""

    @pytest.mark.parametrize(
        "command",
        [
            "db connections",
            "db long-queries",
            "db sizes",
            "db index-usage",
            "db cache",
            "db locks",
            "db missing-indexes",
            "db statistics",
            "db autovacuum",
            "db bloat",
            "db pool",
            "db report",
            "db slow-log status",
            "db kill-idle --yes",
            "db roles status",
            "maintenance history",
            "maintenance reindex",
            "backup list",
            "pitr base-backup",
            "pitr restore-point here",
        ],
    )
    def test_commands_work_as_the_maintenance_role(self, stack: LocalStack, command: str) -> None:
        """With the addresses of worker and maintenance, as on the machine of the worker."""
        done = CliRunner().invoke(main, command.split(), env=stack.environment())
        assert done.exit_code == 0, done.output

    def test_pitr_status_works_as_the_maintenance_role(self, stack: LocalStack) -> None:
        """Whether there is a base backup already or not."""
        done = CliRunner().invoke(main, ["pitr", "status"], env=stack.environment())
        assert done.exit_code in {0, 1}, done.output
        assert "archive mode" in done.output
        assert "permission denied" not in done.output

    def test_the_doctor_runs_every_check(self, stack: LocalStack) -> None:
        """It may find something, and is refused nothing."""
        done = CliRunner().invoke(main, ["db", "doctor"], env=stack.environment())
        assert done.exit_code in {0, 1}, done.output
        assert "permission denied" not in done.output
        assert "not_checked" not in done.output


DENIED = (
    "CREATE TABLE mine (id int)",
    "SELECT 1 AS id INTO mine",
    "CREATE TEMPORARY TABLE mine (id int)",
    "ALTER TABLE templates ADD COLUMN mine int",
    "ALTER TABLE templates DISABLE TRIGGER ALL",
    f"ALTER TABLE templates OWNER TO {APP}",
    "DROP TABLE templates",
    "TRUNCATE idempotency_records",
    "CREATE INDEX ON templates (name)",
    "DROP INDEX idx_templates_type",
    "REINDEX TABLE templates",
    "CREATE VIEW mine AS SELECT 1",
    "CREATE SCHEMA mine",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE EXTENSION hstore",
    "CREATE EXTENSION pgstattuple",
    "CREATE DATABASE mine",
    "CREATE ROLE mine",
    "CREATE PUBLICATION mine",
    "COPY templates TO PROGRAM 'true'",
    "COPY templates FROM PROGRAM 'true'",
    "COPY templates TO '/tmp/mine'",
    "COPY templates FROM '/etc/passwd'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('.')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_export(1, '/tmp/mine')",
    "SELECT * FROM hidden.secrets",
    "SELECT * FROM pg_authid",
    "SELECT * FROM pg_shadow",
    "SELECT * FROM pg_hba_file_rules",
    "SELECT * FROM pg_stat_wal_receiver, pg_config",
    "UPDATE alembic_version SET version_num = '0001'",
    "DELETE FROM alembic_version",
    "SET ROLE template_service",
    "SET ROLE template_service_owner",
    "SET SESSION AUTHORIZATION template_service",
    "SET session_replication_role = replica",
    "SET log_statement = 'none'",
    "ALTER SYSTEM SET work_mem = '1GB'",
    "ALTER DATABASE template_service SET work_mem = '1GB'",
    f"ALTER ROLE {APP} SUPERUSER",
    f"GRANT template_service_owner TO {APP}",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'template_service'",
    "SELECT pg_reload_conf()",
    "SELECT pg_switch_wal()",
    "CHECKPOINT",
)


class TestNothingElse:
    """The role can do nothing but read and change rows."""

    @pytest.fixture(autouse=True)
    def _someone_else(self, stack: LocalStack) -> Iterator[None]:
        # A session that it might want to end.
        with psycopg.connect(stack.postgres.url):
            yield

    @pytest.mark.parametrize("statement", DENIED)
    def test_the_application_role_is_denied_everything_else(
        self, app: psycopg.Connection, statement: str
    ) -> None:
        """PostgreSQL itself refuses, and names the right that is missing."""
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute(statement.encode())

    @pytest.mark.parametrize("database", ["postgres", "template1", "other"])
    def test_the_application_role_cannot_connect_to_other_databases(
        self, stack: LocalStack, database: str
    ) -> None:
        """Not even to look at its catalogue."""
        url = stack._extra["DATABASE_URL"].rpartition("/")[0]
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(f"{url}/{database}")

    def test_the_application_role_cannot_replicate(self, stack: LocalStack) -> None:
        """Whoever takes a base backup has every file."""
        url = stack._extra["DATABASE_URL"]
        with pytest.raises(psycopg.OperationalError, match="permission denied to start WAL sender"):
            psycopg.connect(f"{url}?replication=true")

    def test_the_application_role_sees_no_statements_of_others(
        self, app: psycopg.Connection
    ) -> None:
        """Which may hold what is not for it."""
        seen = app.execute(
            "SELECT query FROM pg_stat_activity WHERE usename = 'template_service'"
        ).fetchall()
        assert set(seen) == {("<insufficient privilege>",)}
