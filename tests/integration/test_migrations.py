"""Migrations: up, down and up again with rows in it, and every command that operators type."""

import io
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import CommandLine, Config
from alembic.script import ScriptDirectory

from db import migrations
from tests.support.cases import each
from worker.local import LocalStack

ROOT = Path(__file__).resolve().parents[2]
REVISIONS = [
    script.revision
    for script in reversed(list(ScriptDirectory(str(ROOT / "alembic")).walk_revisions()))
]
INDEXES = {
    "idx_templates_template_id",
    "idx_templates_type",
    "idx_templates_category",
    "idx_templates_is_active",
    "idx_templates_type_active",
    "idx_template_versions_template_id",
    "idx_template_versions_is_current",
    "idx_template_versions_template_current",
    "idx_template_translations_version_id",
    "idx_template_translations_language",
}
COLUMNS = {
    "templates": {
        "id": "uuid",
        "template_id": "character varying(255)",
        "name": "character varying(255)",
        "type": "character varying(50)",
        "description": "text",
        "category": "character varying(100)",
        "is_active": "boolean",
        "created_at": "timestamp with time zone",
        "updated_at": "timestamp with time zone",
        "deleted_at": "timestamp with time zone",
    },
    "template_versions": {
        "id": "uuid",
        "template_id": "uuid",
        "version": "character varying(50)",
        "subject": "text",
        "body": "text",
        "variables": "jsonb",
        "is_current": "boolean",
        "metadata": "jsonb",
        "created_at": "timestamp with time zone",
    },
    "template_translations": {
        "id": "uuid",
        "template_version_id": "uuid",
        "language_code": "character varying(10)",
        "subject": "text",
        "body": "text",
        "created_at": "timestamp with time zone",
    },
}
LOCK_SECONDS = 4

Database = Callable[[str], str]


@pytest.fixture(scope="module")
def new_database(servers: LocalStack) -> Iterator[Database]:
    """Give a function that makes a database at a revision; all are dropped in the end."""
    made: list[str] = []

    def make(revision: str) -> str:
        name = f"migrations_{uuid.uuid4().hex}"
        with psycopg.connect(servers.postgres.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        made.append(name)
        url = servers.postgres.url_of(name)
        if revision != "base":
            upgrade(url, revision)
        return url

    yield make
    with psycopg.connect(servers.postgres.url, autocommit=True) as connection:
        for name in made:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def config(url: str) -> Config:
    """Return alembic's configuration without its logging, which is the process's own affair."""
    made = Config(stdout=io.StringIO(), attributes={"database_url": url})
    made.set_main_option("script_location", str(ROOT / "alembic"))
    return made


def upgrade(url: str, revision: str = "head") -> None:
    """Migrate up."""
    command.upgrade(config(url), revision)


def downgrade(url: str, revision: str) -> None:
    """Migrate down."""
    command.downgrade(config(url), revision)


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    """Run a statement, commit, and return its rows."""
    with psycopg.connect(url) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def revision_of(url: str) -> object:
    """Return the revision a database is at."""
    rows = query(url, "SELECT version_num FROM alembic_version")
    return rows[0][0] if rows else None


def fill(url: str) -> None:
    """Insert two templates with versions and translations, as every revision has them."""
    query(
        url,
        """
        WITH t AS (
            INSERT INTO templates (template_id, name, type, category)
            VALUES ('welcome', 'Welcome', 'email', 'a'), ('code', 'Code', 'sms', NULL)
            RETURNING id, template_id
        ), v AS (
            INSERT INTO template_versions (template_id, version, body, variables, is_current)
            SELECT t.id, n::text, 'body ' || n, '[{"name": "a"}]', n = 3
            FROM t CROSS JOIN generate_series(1, 3) AS n
            RETURNING id
        )
        INSERT INTO template_translations (template_version_id, language_code, body)
        SELECT v.id, l, l FROM v CROSS JOIN unnest(ARRAY['de', 'pt-BR']) AS l
        """,
    )


def contents(url: str) -> list[tuple[object, ...]]:
    """Return all that :func:`fill` has written, with ids and times."""
    return query(
        url,
        """
        SELECT t.id, t.template_id, t.name, t.type, t.category, t.is_active, t.created_at,
               v.id, v.version, v.body, v.variables::text, v.is_current, v.created_at,
               x.id, x.language_code, x.body
        FROM templates AS t
        JOIN template_versions AS v ON v.template_id = t.id
        JOIN template_translations AS x ON x.template_version_id = v.id
        ORDER BY t.template_id, v.version, x.language_code
        """,
    )


def schema(url: str) -> list[tuple[object, ...]]:
    """Return columns, indexes, constraints and options of every table."""
    return query(
        url,
        """
        SELECT 'column', c.relname, a.attname,
               format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull || ' '
               || coalesce(pg_get_expr(d.adbin, d.adrelid), '')
        FROM pg_class AS c
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
        UNION ALL
        SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
        UNION ALL
        SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
        UNION ALL
        SELECT 'options', relname, '', reloptions::text
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND reloptions IS NOT NULL
        ORDER BY 1, 2, 3
        """,
    )


class TestUpAndDown:
    """Each migration by itself."""

    @pytest.mark.parametrize("revision", REVISIONS)
    def test_each_migration_upgrades_and_downgrades_with_rows(
        self, new_database: Database, revision: str
    ) -> None:
        """The rows of the revision before come through, and the schema is the same each time."""
        index = REVISIONS.index(revision)
        before = REVISIONS[index - 1] if index else "base"
        url = new_database(before)
        if index:
            fill(url)
        rows = contents(url) if index else []
        old = schema(url)
        upgrade(url, revision)
        new = schema(url)
        assert new != old
        if not index:
            fill(url)
        assert not index or contents(url) == rows
        downgrade(url, "-1")
        left = [row for row in schema(url) if row[1] != "alembic_version"]
        assert left == [row for row in old if row[1] != "alembic_version"]
        assert not index or contents(url) == rows
        upgrade(url, revision)
        assert schema(url) == new
        assert not index or contents(url) == rows

    def test_all_migrations_downgrade_and_upgrade_with_rows(self, new_database: Database) -> None:
        """Nothing is left in the way of the next start."""
        url = new_database("head")
        fill(url)
        new = schema(url)
        downgrade(url, "base")
        assert {row[1] for row in schema(url)} == {"alembic_version"}
        upgrade(url)
        assert schema(url) == new

    def test_models_and_migrations_match(self, new_database: Database) -> None:
        """``alembic check`` finds nothing that a new migration would change."""
        command.check(config(new_database("head")))

    def test_the_migrations_have_a_single_head(self) -> None:
        """Two would stop every ``upgrade head``."""
        assert ScriptDirectory(str(ROOT / "alembic")).get_heads() == [REVISIONS[-1]]

    def test_the_order_of_migrations_is_read_as_alembic_has_it(self) -> None:
        """The text of the scripts is enough to know it."""
        assert migrations.head() == REVISIONS[-1]
        assert not migrations.is_known("0000")
        for place, revision in enumerate(REVISIONS):
            assert migrations.is_known(revision)
            later = [other for other in REVISIONS if migrations.is_before(revision, other)]
            assert later == REVISIONS[place + 1 :]

    @pytest.mark.parametrize(
        "spoil",
        [
            "UPDATE template_versions SET is_current = true",
            "UPDATE template_versions SET version = '1'",
        ],
    )
    def test_a_migration_fails_unchanged_on_data_that_violate_its_constraint(
        self, new_database: Database, spoil: str
    ) -> None:
        """It fails whole: which of two current versions is right, only an operator can say."""
        url = new_database("0001")
        fill(url)
        query(url, spoil)
        before = schema(url), contents(url)
        with pytest.raises(Exception, match="could not create unique index"):
            upgrade(url)
        assert (schema(url), contents(url)) == before
        assert revision_of(url) == "0001"

    def test_a_migration_gives_up_instead_of_blocking_readers(self, new_database: Database) -> None:
        """Behind a waiting ALTER TABLE all readers wait too, so it gives up after 4 s."""
        url = new_database("0001")
        before = schema(url)
        with psycopg.connect(url) as reader:
            reader.execute("SELECT count(*) FROM templates")
            with pytest.raises(Exception, match="lock timeout"):
                upgrade(url)
        assert schema(url) == before
        upgrade(url)


class TestSchema:
    """The tables of the guide, and what the database itself holds."""

    @pytest.fixture(scope="class")
    @classmethod
    def url(cls, new_database: Database) -> str:
        """Give a database at head, with rows."""
        url = new_database("head")
        fill(url)
        return url

    def test_the_documented_tables_and_columns_exist(self, url: str) -> None:
        """With their types, times with time zone."""
        existing = query(
            url,
            "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod)"
            " FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid"
            " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0",
        )
        for table, columns in COLUMNS.items():
            types = {column: kind for name, column, kind in existing if name == table}
            assert types.items() >= columns.items(), table
        assert not [row for row in existing if row[2] == "timestamp without time zone"]

    def test_indexes_keep_their_names(self, url: str) -> None:
        """Query plans and monitoring name them."""
        names = {row[2] for row in schema(url) if row[0] == "index"}
        assert names >= INDEXES
        definitions = {row[2]: str(row[3]) for row in schema(url) if row[0] == "index"}
        assert definitions["idx_templates_type_active"].endswith("(type, is_active)")
        assert definitions["idx_template_versions_template_current"].endswith(
            "(template_id, is_current)"
        )

    def test_autovacuum_has_the_recommended_settings(self, url: str) -> None:
        """On for all three, and earlier for templates."""
        options = {row[1]: str(row[3]) for row in schema(url) if row[0] == "options"}
        assert all("autovacuum_enabled=true" in options[table] for table in COLUMNS)
        assert "autovacuum_vacuum_scale_factor=0.1" in options["templates"]
        assert "autovacuum_analyze_scale_factor=0.05" in options["templates"]

    @pytest.mark.parametrize(
        ("statement", "refusal"),
        [
            (
                "UPDATE template_versions SET is_current = true WHERE version = '1'",
                "uq_template_versions_one_current",
            ),
            (
                "UPDATE template_versions SET version = '1' WHERE version = '2'",
                "uq_template_versions_template_id_version",
            ),
            (
                "UPDATE templates SET template_id = 'code'",
                "idx_templates_template_id",
            ),
            (
                "UPDATE template_translations SET language_code = 'de'",
                "uq_template_translations_template_version_id_language_code",
            ),
            ("UPDATE templates SET type = 'fax'", "ck_templates_type"),
            (
                "INSERT INTO maintenance_runs (task, id, state) VALUES ('a', 'b', 'odd')",
                "ck_maintenance_runs_state",
            ),
            (
                "UPDATE template_versions SET template_id = gen_random_uuid()",
                "fk_template_versions_template_id_templates",
            ),
        ],
    )
    def test_constraints_refuse_invalid_rows(self, url: str, statement: str, refusal: str) -> None:
        """Whoever writes to it, the promises hold."""
        with pytest.raises(psycopg.IntegrityError, match=refusal):
            query(url, statement)

    def test_deleting_a_template_deletes_its_rows(self, new_database: Database) -> None:
        """A hard delete leaves no orphans."""
        url = new_database("head")
        fill(url)
        query(url, "DELETE FROM templates WHERE template_id = 'code'")
        assert query(url, "SELECT count(*) FROM template_versions") == [(3,)]
        assert query(url, "SELECT count(*) FROM template_translations") == [(6,)]

    @pytest.mark.parametrize(("deleted", "left"), [("welcome", 0), ("code", 0), ("other", 3)])
    def test_deleting_a_user_or_a_partial_deletes_the_use(
        self, new_database: Database, deleted: str, left: int
    ) -> None:
        """Neither a user nor a partial that is deleted for good leaves a row behind."""
        url = new_database("head")
        fill(url)
        query(
            url,
            "INSERT INTO template_partials (template_version_id, partial_id)"
            " SELECT v.id, p.id FROM templates AS p, template_versions AS v"
            " JOIN templates AS t ON t.id = v.template_id"
            " WHERE p.template_id = 'code' AND t.template_id = 'welcome'",
        )
        assert query(url, "SELECT count(*) FROM template_partials") == [(3,)]
        query(url, f"DELETE FROM templates WHERE template_id = '{deleted}'")  # noqa: S608 - the table's own cases
        assert query(url, "SELECT count(*) FROM template_partials") == [(left,)]
        with pytest.raises(psycopg.IntegrityError, match="fk_template_partials_partial_id"):
            query(
                url,
                "INSERT INTO template_partials (template_version_id, partial_id)"
                " SELECT id, gen_random_uuid() FROM template_versions",
            )


class TestCommands:
    """``alembic`` as operators type it, in a checkout."""

    @pytest.fixture
    def copy(self, tmp_path: Path) -> Path:
        """Give a copy of what alembic reads, so that new files do not land in the checkout."""
        shutil.copy(ROOT / "alembic.ini", tmp_path)
        shutil.copytree(
            ROOT / "alembic", tmp_path / "alembic", ignore=shutil.ignore_patterns("__pycache__")
        )
        return tmp_path

    def run(
        self, directory: Path, url: str | None, *arguments: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "alembic", *arguments],
            cwd=directory,
            env=self.environment(url),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def environment(self, url: str | None) -> dict[str, str]:
        """Return an environment with that address, or none."""
        inherited = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        address = {} if url is None else {"DATABASE_URL": url}
        return {**inherited, **address, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}

    def here(
        self, directory: Path, url: str | None, *arguments: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one command in this process, which saves the start of another."""
        output, errors = io.StringIO(), io.StringIO()
        status: object = 0
        with pytest.MonkeyPatch.context() as patch, redirect_stderr(errors):
            patch.chdir(directory)
            patch.delenv("DATABASE_URL", raising=False)
            if url is not None:
                patch.setenv("DATABASE_URL", url)
            # The logging of the command would stay that of this process.
            patch.setattr("logging.config.fileConfig", lambda *_, **__: None)
            # Bound to the standard output of the import, not of the call.
            with redirect_stdout(output):
                line = CommandLine()
                options = line.parser.parse_args(arguments)
                made = Config(
                    file_="alembic.ini", ini_section=options.name, cmd_opts=options, stdout=output
                )
                try:
                    line.run_cmd(made, options)
                except SystemExit as end:
                    status = end.code
        if isinstance(status, str):
            errors.write(f"{status}\n")
        code = status if isinstance(status, int) else 1
        return subprocess.CompletedProcess(arguments, code, output.getvalue(), errors.getvalue())

    def test_alembic_upgrades_downgrades_and_shows_the_revision(
        self, new_database: Database
    ) -> None:
        """Up, where am I, back one, back to a revision, and the history of all."""
        url = new_database("base")
        head, before = REVISIONS[-1], REVISIONS[-2]
        for arguments, expected in (
            (("upgrade", "head"), head),
            (("downgrade", "-1"), before),
            (("upgrade", "+1"), head),
            (("downgrade", REVISIONS[0]), REVISIONS[0]),
            (("downgrade", "base"), None),
        ):
            # One of them as operators do it, the others without the start of a process.
            done = (self.run if expected is None else self.here)(ROOT, url, *arguments)
            assert done.returncode == 0, done.stderr
            assert revision_of(url) == expected, arguments
        upgrade(url)
        current = self.here(ROOT, url, "current")
        assert (current.returncode, current.stdout.split()) == (0, [head, "(head)"])
        history = self.here(ROOT, url, "history")
        assert history.returncode == 0
        revisions = re.findall(r"-> (\w+)", history.stdout)
        assert revisions == REVISIONS[::-1]

    def test_alembic_generates_a_migration_that_runs(
        self, new_database: Database, copy: Path
    ) -> None:
        """``revision --autogenerate`` finds no drift, and its file is a migration that runs."""
        url = new_database("head")
        done = self.here(copy, url, "revision", "--autogenerate", "-m", "Description of changes")
        assert done.returncode == 0, done.stderr
        known = {path.name for path in (ROOT / "alembic" / "versions").glob("*.py")}
        (made,) = [
            path for path in (copy / "alembic" / "versions").glob("*.py") if path.name not in known
        ]
        assert made.name.endswith("_description_of_changes.py")
        source = made.read_text(encoding="utf-8")
        assert source.startswith('"""Description of changes.')
        assert "op." not in source, "there is a drift between models and migrations"
        assert "    pass\n" in source
        for arguments in (("upgrade", "head"), ("downgrade", "-1")):
            done = self.here(copy, url, *arguments)
            assert done.returncode == 0, done.stderr
        assert revision_of(url) == REVISIONS[-1]

    def test_alembic_prints_sql_that_runs(self, new_database: Database) -> None:
        """``--sql`` prints what would be done, and does nothing; the script itself works."""
        url = new_database("base")
        done = self.run(ROOT, url, "upgrade", "head", "--sql")
        assert done.returncode == 0, done.stderr
        assert schema(url) == []
        assert url not in done.stdout + done.stderr
        query(url, done.stdout)
        assert revision_of(url) == REVISIONS[-1]
        command.check(config(url))

    def test_alembic_check_exits_1_on_a_difference(self, new_database: Database) -> None:
        """Status 0 without drift, and another one with."""
        url = new_database("head")
        assert self.here(ROOT, url, "check").returncode == 0
        query(url, "DROP INDEX idx_templates_category")
        drifted = self.run(ROOT, url, "check")
        assert drifted.returncode != 0
        assert "idx_templates_category" in drifted.stdout + drifted.stderr

    @each("url", [None, ""])
    def test_a_missing_database_url_is_reported(self, url: str | None) -> None:
        """The setting by its name, in one line, without a traceback."""
        done = self.here(ROOT, url, "upgrade", "head")
        assert done.returncode != 0
        assert done.stderr.startswith("DATABASE_URL is not set")
        assert "Traceback" not in done.stderr

    def test_concurrent_upgrades_wait_for_each_other(self, new_database: Database) -> None:
        """Two containers of one deploy start at the same moment: both end well."""
        url = new_database("base")
        both = [
            subprocess.Popen(
                [sys.executable, "-m", "alembic", "upgrade", "head"],
                cwd=ROOT,
                env=self.environment(url),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        outputs = [process.communicate(timeout=60)[1] for process in both]
        assert [process.returncode for process in both] == [0, 0], outputs
        assert revision_of(url) == REVISIONS[-1]
