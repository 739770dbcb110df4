"""The service on PostgreSQL 15: migrations, the main job, maintenance, and the roles for them."""

import json

import psycopg
import pytest

from tests.factories import templates
from tests.postgres15.conftest import Server
from tests.support.producer import Producer, RefusedError

LEFTOVER = """
CREATE INDEX idx_templates_type_ccnew ON templates (type);
UPDATE pg_index SET indisvalid = false
WHERE indexrelid = 'idx_templates_type_ccnew'::regclass
"""


def test_migrations_upgrade_and_downgrade(server: Server) -> None:
    """In a database of its own, to the same tables as before."""
    server.run("CREATE DATABASE migrated")
    url = server.url().replace("/template_service?", "/migrated?")

    def tables() -> list[tuple[str, ...]]:
        with psycopg.connect(url) as connection:
            return connection.execute(
                "SELECT table_name, column_name, data_type, is_nullable, column_default"
                " FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
            ).fetchall()

    server.migrate("upgrade", "head", url=url)
    before = tables()
    server.migrate("downgrade", "base", url=url)
    assert {row[0] for row in tables()} == {"alembic_version"}
    server.migrate("upgrade", "head", url=url)
    assert tables() == before
    server.migrate("check", url=url)


def test_the_main_job_works_as_the_application_role(producer: Producer) -> None:
    """Publish, translate, render, roll back and delete, over TLS."""
    template = templates.created(producer, type="sms")
    one = {"template_id": template}
    for body in ("Hello {{ name }}", "Dear {{ name }}"):
        producer.call("version.publish", one | {"body": body})
    producer.call("translation.upsert", one | {"language_code": "de", "body": "Liebe {{ name }}"})
    render = one | {"variables": {"name": "Ada"}}
    assert producer.call("render.one", render)["body"] == "Dear Ada"
    assert producer.call("render.one", render | {"language": "de"})["body"] == "Liebe Ada"
    oldest = templates.versions(producer, template)[-1]["version"]
    producer.call("version.activate", one | {"version": oldest})
    assert producer.call("render.one", render)["body"] == "Hello Ada"
    producer.call("template.delete", one)
    with pytest.raises(RefusedError) as refused:
        producer.call("render.one", render)
    assert refused.value.code == "template_not_found"


@pytest.mark.parametrize(
    "task",
    [
        "vacuum",
        "analyze",
        "reindex",
        "purge_templates",
        "prune_versions",
        "prune_records",
        "activate_scheduled",
        "report",
    ],
)
def test_maintenance_works_as_its_own_role(server: Server, producer: Producer, task: str) -> None:
    """Before PostgreSQL 17 it takes the owner's rights to vacuum, and to drop an invalid index."""
    templates.published(producer)
    if task == "reindex":
        server.run(LEFTOVER)
    stored = producer.stored(producer.send(f"maintenance.{task}"))
    assert stored["status"] == "SUCCESS", stored["result"]
    assert server.run("SELECT to_regclass('idx_templates_type_ccnew')") == [(None,)]


class TestRoles:
    """``db roles`` on a server without MAINTAIN and without WITH INHERIT."""

    @pytest.mark.usefixtures("roles")
    def test_roles_apply_creates_the_documented_roles(self, server: Server) -> None:
        """Also after a second run."""
        server.works("db", "roles", "status")
        again = json.loads(server.works("db", "roles", "apply", "--json"))
        assert {role["password"] for role in again["roles"]} == {"kept"}
        server.works("db", "roles", "status")

    @pytest.mark.parametrize(
        "statement",
        [
            "CREATE TABLE mine (id int)",
            "CREATE TEMPORARY TABLE mine (id int)",
            "DROP TABLE templates",
            "TRUNCATE templates",
            "COPY templates TO PROGRAM 'true'",
            "SELECT pg_read_file('/etc/passwd')",
            "CREATE SCHEMA mine",
            "CREATE EXTENSION hstore",
            "UPDATE alembic_version SET version_num = ''",
            "SET ROLE service",
            "SET ROLE template_service_owner",
            "ALTER SYSTEM SET work_mem = '1GB'",
            "CHECKPOINT",
        ],
    )
    def test_the_application_role_is_denied_everything_else(
        self, roles: dict[str, str], statement: str
    ) -> None:
        """What only the owner or a superuser may do."""
        with (
            psycopg.connect(roles["DATABASE_URL"], autocommit=True) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement.encode())

    def test_maintenance_is_no_superuser(self, roles: dict[str, str]) -> None:
        """Beside the owner's rights it has those of the predefined roles alone."""
        url = roles["TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL"]
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in (
                "SET ROLE service",
                "CREATE ROLE mine",
                "COPY templates TO PROGRAM 'true'",
                "ALTER SYSTEM SET work_mem = '1GB'",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement.encode())
            connection.execute("CHECKPOINT")
