"""Roles in backups, on a real server: data, whatever a role writes into its own settings."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from db.backup.catalogue import Catalogue, open_store
from db.backup.create import create
from db.backup.databases import administering
from db.backup.policy import BackupPolicy
from db.backup.restore.powers import Powers
from db.backup.restore.roles import RolePlan, create_roles, role_statements
from db.backup.roles import (
    Membership,
    ParameterGrant,
    RoleFacts,
    RoleSetting,
    ServerRoles,
    read_roles,
)
from db.backup.verify import fetch_roles, verify
from tests.support.sample_databases import SampleDatabase, sample_database
from worker.local import LocalStack

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20) | (
    st.lists(st.sampled_from(["'", '"', "\\", ";", "\n", "--", "$$", "E'", " SUPERUSER "])).map(
        "".join
    )
)
NAMES = TEXTS.map(lambda text: f"fuzz {text}").filter(lambda name: len(name.encode()) <= 63)
HOSTILE = "hostile_app"


@pytest.fixture(scope="module")
def source(servers: LocalStack) -> Iterator[SampleDatabase]:
    """Give a database to back up."""
    with sample_database(servers) as made:
        yield made


@pytest.fixture
def policy(tmp_path: Path) -> BackupPolicy:
    """Return a place for the backups of one test."""
    return BackupPolicy(target=str(tmp_path / "backups"))


@contextmanager
def role(source: SampleDatabase, options: str = "") -> Iterator[None]:
    """Have a role that can log in; it is gone afterwards, also if a test created it again."""
    source.run(f"CREATE ROLE {HOSTILE} LOGIN PASSWORD 'x' {options}".encode())
    try:
        yield
    finally:
        source.run(f"DROP ROLE IF EXISTS {HOSTILE}".encode())


def test_rights_on_settings_of_the_server_are_restored(
    source: SampleDatabase, policy: BackupPolicy
) -> None:
    """``GRANT ... ON PARAMETER``, with its options."""
    rights = (
        "SELECT p.parname, a.privilege_type, a.is_grantable FROM pg_parameter_acl AS p"
        " CROSS JOIN aclexplode(p.paracl) AS a"
        " WHERE a.grantee = %(role)s::regrole ORDER BY 1, 2"
    )
    with role(source):
        source.run(f"GRANT SET ON PARAMETER work_mem TO {HOSTILE} WITH GRANT OPTION".encode())
        source.run(f"GRANT SET, ALTER SYSTEM ON PARAMETER log_statement TO {HOSTILE}".encode())
        before = source.run(rights, role=HOSTILE)
        entry = create(source.client, policy)
        source.run(f"DROP OWNED BY {HOSTILE}; DROP ROLE {HOSTILE}".encode())
        created = create_roles(source.url, fetch_roles(entry, policy))
        assert (created.names, created.withheld) == ([HOSTILE], [])
        assert source.run(rights, role=HOSTILE) == before
        assert len(before) == 3
        source.run(f"DROP OWNED BY {HOSTILE}".encode())


def test_a_role_s_own_setting_is_never_executed(
    source: SampleDatabase, policy: BackupPolicy, tmp_path: Path
) -> None:
    """The setting is restored to the last character, and nothing that it says happens."""
    trace = tmp_path / "trace"
    tmp_path.chmod(0o777)
    value = (
        f"x;\n ALTER ROLE {HOSTILE} SUPERUSER;\n COPY (SELECT 1) TO PROGRAM $$touch {trace}$$;\n--'"
    )
    with role(source):
        url = source.url.replace(source.url.partition("//")[2].partition("@")[0], f"{HOSTILE}:x")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                sql.SQL("ALTER ROLE CURRENT_USER SET application_name TO {}").format(
                    sql.Literal(value)
                )
            )
        entry = create(source.client, policy)
        verify(Catalogue(open_store(policy.target)).store, entry, policy, source.client.programs)
        source.run(f"DROP ROLE {HOSTILE}".encode())
        created = create_roles(source.url, fetch_roles(entry, policy))
        assert created.names == [HOSTILE]
        found = source.run(
            "SELECT rolsuper, rolconfig FROM pg_roles WHERE rolname = %(name)s", name=HOSTILE
        )
        assert found == [(False, [f"application_name={value}"])]
    assert not trace.exists()


def test_a_restored_role_is_what_it_was(source: SampleDatabase, policy: BackupPolicy) -> None:
    """Attributes, verifier, comment, settings and memberships."""
    options = "CREATEDB NOINHERIT CONNECTION LIMIT 7 VALID UNTIL '2041-02-03 04:05:06+00'"
    with role(source, options):
        for statement in (
            f"COMMENT ON ROLE {HOSTILE} IS 'of two\nlines'",
            f'ALTER ROLE {HOSTILE} SET search_path TO "$user", "a, b", public',
            f"ALTER ROLE {HOSTILE} SET statement_timeout TO '5s'",
            f"GRANT pg_monitor TO {HOSTILE} WITH ADMIN OPTION",
        ):
            source.run(statement.encode())
        with administering(source.url) as admin:
            before = read_roles(admin, passwords=True)
            entry = create(source.client, policy)
            source.run(f"DROP ROLE {HOSTILE}".encode())
            create_roles(source.url, fetch_roles(entry, policy))
            assert read_roles(admin, passwords=True) == before


def test_a_role_without_superuser_restores_no_power(
    source: SampleDatabase, policy: BackupPolicy
) -> None:
    """It is told what the roles had."""
    with role(source, "SUPERUSER REPLICATION"):
        roles = fetch_roles(create(source.client, policy), policy)
    source.run(b"CREATE ROLE creator LOGIN CREATEROLE PASSWORD 'x'")
    url = source.url.replace(source.url.partition("//")[2].partition("@")[0], "creator:x")
    try:
        created = create_roles(url, roles)
        assert created.withheld == [f"SUPERUSER of {HOSTILE}", f"REPLICATION of {HOSTILE}"]
        attributes = (
            "SELECT rolsuper, rolreplication, rolcanlogin FROM pg_roles WHERE rolname = %(n)s"
        )
        assert source.run(attributes, n=HOSTILE) == [(False, False, True)]
    finally:
        source.run(f"DROP ROLE IF EXISTS {HOSTILE}".encode())
        source.run(b"DROP ROLE creator")


def test_a_membership_that_leads_to_a_superuser_here_is_left_out(source: SampleDatabase) -> None:
    """The role in between was harmless where the backup was taken."""
    facts = ServerRoles(
        roles=(RoleFacts(name=HOSTILE), RoleFacts(name="between")),
        memberships=(Membership(role="between", member=HOSTILE),),
    )
    source.run(b"CREATE ROLE above SUPERUSER; CREATE ROLE between IN ROLE above")
    try:
        created = create_roles(source.url, facts)
        assert (created.names, created.withheld) == (
            [HOSTILE],
            [f"membership of {HOSTILE} in between"],
        )
        reaches = "SELECT pg_has_role(%(member)s, 'above', 'MEMBER')"
        assert source.run(reaches, member=HOSTILE) == [(False,)]
    finally:
        source.run(f"DROP ROLE IF EXISTS {HOSTILE}".encode())
        source.run(b"DROP ROLE between; DROP ROLE above")


def test_what_another_version_of_postgresql_lacks_is_left_out(source: SampleDatabase) -> None:
    """The roles are created anyway, and what was left out is printed."""
    settings = (("old_snapshot_threshold", "1h"), ("work_mem", "lots"), ("work_mem", "8MB"))
    facts = ServerRoles(
        roles=(RoleFacts(name=HOSTILE),),
        settings=tuple(
            RoleSetting(role=HOSTILE, name=name, values=(value,)) for name, value in settings
        ),
        parameters=(ParameterGrant(role=HOSTILE, name="gone", privilege="SET"),),
        memberships=(Membership(role="pg_of_another_version", member=HOSTILE),),
    )
    try:
        created = create_roles(source.url, facts)
        assert created.names == [HOSTILE]
        left_out = [
            text.removesuffix(", which this server does not have or accept")
            for text in created.withheld
        ]
        assert left_out == [
            f"setting old_snapshot_threshold of {HOSTILE}",
            f"setting work_mem of {HOSTILE}",
            f"SET ON PARAMETER gone of {HOSTILE}",
            f"membership of {HOSTILE} in pg_of_another_version",
        ]
        found = source.one("SELECT rolconfig FROM pg_roles WHERE rolname = %(n)s", n=HOSTILE)
        assert found == ["work_mem=8MB"]
    finally:
        source.run(f"DROP ROLE IF EXISTS {HOSTILE}".encode())


@settings(max_examples=30)
@given(name=NAMES, comment=TEXTS.filter(bool), value=TEXTS, verifier=TEXTS.filter(bool))
def test_the_server_reads_back_what_was_written(
    source: SampleDatabase, name: str, comment: str, value: str, verifier: str
) -> None:
    """By its own parser: one role, with that comment and that setting."""
    facts = ServerRoles(
        roles=(RoleFacts(name=name, comment=comment, password=verifier),),
        settings=(RoleSetting(role=name, name="shop.note", values=(value,)),),
    )
    with administering(source.url) as admin, admin.transaction(force_rollback=True):
        before = read_roles(admin, passwords=False)
        for statement, _ in role_statements(RolePlan(facts)):
            admin.execute(statement)
        after = read_roles(admin, passwords=False)
    new = set(after.roles) - set(before.roles)
    assert {(role.name, role.comment) for role in new} == {(name, comment)}
    assert Powers(after).of(name) == set()
    assert len(after.roles) == len(before.roles) + 1
    assert set(after.settings) - set(before.settings) == set(facts.settings)
