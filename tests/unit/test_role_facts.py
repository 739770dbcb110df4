"""Roles of a backup: no name, comment, value or verifier becomes a statement of its own."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from db.backup.restore.roles import RolePlan, role_statements
from db.backup.roles import (
    Membership,
    ParameterGrant,
    RoleFacts,
    RoleSetting,
    ServerRoles,
    split_names,
)
from db.backup.roles_sql import parse_roles_sql
from db.errors import OperationError
from db.roles.names import mark

PIECES = st.sampled_from(
    ["'", '"', "\\", ";", "\n", "--", "$$", "/*", "E'", "ALTER ROLE app SUPERUSER;", " ", "ü", "%s"]
)
TEXT = st.lists(PIECES | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5))
TEXTS = TEXT.map("".join)
NAMES = TEXTS.filter(bool)
PARAMETERS = st.from_regex(r"\A[a-z_][a-z0-9_]{0,9}(\.[a-z_][a-z0-9_]{0,9})?\Z")


@st.composite
def server_roles(draw: Callable[[st.SearchStrategy[object]], object]) -> ServerRoles:
    """Return roles with hostile texts, as a server would report them."""
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    assert isinstance(names, list)
    facts = st.builds(
        RoleFacts,
        name=st.just(""),
        superuser=st.booleans(),
        create_role=st.booleans(),
        replication=st.booleans(),
        bypass_rls=st.booleans(),
        inherit=st.booleans(),
        create_db=st.booleans(),
        login=st.booleans(),
        connection_limit=st.integers(-1, 9),
        password=st.none() | TEXTS,
        valid_until=st.none() | TEXTS,
        comment=st.none() | TEXTS,
    )
    roles = []
    for name in names:
        role = draw(facts)
        assert isinstance(role, RoleFacts)
        roles.append(role.model_copy(update={"name": name}))
    some = st.sampled_from(names)
    flags = st.none() | st.booleans()
    settings = st.builds(
        RoleSetting,
        role=some,
        name=PARAMETERS,
        values=st.lists(TEXTS, min_size=1, max_size=3).map(tuple),
    )
    memberships = st.builds(
        Membership, role=some, member=some, admin=st.booleans(), inherit=flags, set=flags
    )
    parameters = st.builds(
        ParameterGrant,
        role=some,
        name=PARAMETERS,
        privilege=st.sampled_from(["SET", "ALTER SYSTEM"]),
        grantable=st.booleans(),
    )
    return ServerRoles(
        roles=tuple(roles),
        parameters=draw(st.lists(parameters, max_size=3).map(tuple)),
        settings=draw(st.lists(settings, max_size=3).map(tuple)),
        memberships=draw(st.lists(memberships, max_size=3).map(tuple)),
    )


@given(server_roles())
def test_statements_say_what_the_facts_say_and_nothing_else(facts: ServerRoles) -> None:
    """Read back by PostgreSQL's lexical rules: as many statements, with the same values."""
    statements = [statement.as_string() for statement in role_statements(RolePlan(facts))]
    for role in facts.roles:
        # pg_dumpall leaves the attributes to ALTER ROLE.
        name = sql.Identifier(role.name).as_string()
        create = next(text for text in statements if text.startswith(f"CREATE ROLE {name} WITH "))
        statements[statements.index(create)] = (
            f"CREATE ROLE {name};\nALTER{create.removeprefix('CREATE')}"
        )
    assert parse_roles_sql(";\n".join([*statements, ""])) == facts


@given(server_roles())
def test_facts_survive_their_file(facts: ServerRoles) -> None:
    """As JSON."""
    assert ServerRoles.parse(b"".join(facts.chunks()), "x.roles.json.gz") == facts


@given(TEXTS)
def test_any_text_is_facts_or_refused(text: str) -> None:
    """The reader of the old files never fails in another way."""
    with suppress(OperationError):
        assert parse_roles_sql(text).memberships == ()


OLD = r'''--
-- PostgreSQL database cluster dump
--

\restrict abc

SET default_transaction_read_only = off;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;

--
-- Roles
--

CREATE ROLE "A ""b""";
ALTER ROLE "A ""b""" WITH NOSUPERUSER INHERIT LOGIN CONNECTION LIMIT 5 PASSWORD 'SCRAM-SHA-256$x';
COMMENT ON ROLE "A ""b""" IS 'c
;d';

--
-- User Configurations
--

--
-- User Config "A "b""
--

ALTER ROLE "A ""b""" SET search_path TO 'a', 'B c';
ALTER ROLE "A ""b""" SET "x.y" TO E'1\\2;
3';


--
-- Role memberships
--

GRANT there TO "A ""b""" WITH ADMIN OPTION, SET FALSE GRANTED BY boss;

\unrestrict abc
'''


def test_a_roles_file_of_an_earlier_version_is_read() -> None:
    """Each form of statement that pg_dumpall writes."""
    name = 'A "b"'
    assert parse_roles_sql(OLD) == ServerRoles(
        roles=(
            RoleFacts(
                name=name,
                login=True,
                connection_limit=5,
                password="SCRAM-SHA-256$x",  # noqa: S106 - not a password
                comment="c\n;d",
            ),
        ),
        settings=(
            RoleSetting(role=name, name="search_path", values=("a", "B c")),
            RoleSetting(role=name, name="x.y", values=("1\\2;\n3",)),
        ),
        memberships=(Membership(role="there", member=name, admin=True, set=False),),
    )


@pytest.mark.parametrize(
    "statement",
    [
        "COPY (SELECT 1) TO PROGRAM 'id';",
        "ALTER ROLE x RENAME TO y;",
        "DROP ROLE x;",
        "DO $$ BEGIN END $$;",
        "SELECT 1;",
        "SET standard_conforming_strings = off;",
        "SET role = boss;",
        "GRANT ALL ON DATABASE x TO y;",
        "CREATE ROLE x SUPERUSER;",
        "CREATE DATABASE x;",
        "\\! id",
        "\\connect x",
        "/* x */",
        "ALTER ROLE unknown WITH SUPERUSER;",
        "CREATE ROLE x",
        "ALTER ROLE x SET y TO 'open",
        "ALTER ROLE x SET y TO E'\\x41';",
    ],
)
def test_any_other_statement_is_refused(statement: str) -> None:
    """In one sentence, which does not repeat its literals."""
    with pytest.raises(OperationError) as refused:
        parse_roles_sql(OLD + statement)
    assert refused.value.kind == "archive_unreadable"
    assert "open" not in refused.value.message


@pytest.mark.parametrize(
    "name",
    [
        "a\nCREATE ROLE b;\nALTER ROLE b WITH SUPERUSER;\n--",
        'a"\nGRANT boss TO a;\n--',
        'a"\n\n-- Role memberships\nGRANT boss TO a;\n--',
        'a"\nGRANT ALTER SYSTEM ON PARAMETER archive_command TO a;\n--',
        'a"\n\n-- Roles\nCREATE ROLE b;\n--',
    ],
)
def test_a_name_with_line_breaks_in_a_comment_is_refused(name: str) -> None:
    """pg_dumpall repeats the names of roles in comments; old versions did so as they are."""
    with pytest.raises(OperationError):
        parse_roles_sql(OLD.replace('Config "A "b""', f'Config "{name}"'))


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("a, b", ("a", "b")),
        ('"$user", public', ("$user", "public")),
        ('"a "" , b",c', ('a " , b', "c")),
        ('""', ("",)),
        ("", ()),
        ('"a', None),
        ('a"b', None),
    ],
)
def test_lists_of_names_are_split(value: str, names: tuple[str, ...] | None) -> None:
    """As PostgreSQL stores ``search_path``."""
    assert split_names(value) == names


class TestPower:
    """Attributes that give power beyond the rights on objects."""

    BOSS = RoleFacts(name="boss", superuser=True, replication=True)
    FACTS = ServerRoles(
        roles=(BOSS, RoleFacts(name="plain")),
        memberships=(
            Membership(role="boss", member="plain"),
            Membership(role="pg_execute_server_program", member="plain"),
            Membership(role="pg_monitor", member="plain"),
        ),
    )

    def script(self, plan: RolePlan) -> str:
        """Return all statements."""
        return "; ".join(statement.as_string() for statement in role_statements(plan))

    def test_a_superuser_restores_what_was_there(self) -> None:
        """And no more than that."""
        plan = RolePlan(self.FACTS)
        script = self.script(plan)
        assert 'CREATE ROLE "boss" WITH SUPERUSER REPLICATION' in script
        assert script.count("SUPERUSER") == 1
        assert 'GRANT "boss" TO "plain"' in script
        assert plan.withheld == []

    def test_another_role_restores_no_power(self) -> None:
        """What is missing is reported."""
        plan = RolePlan(self.FACTS, is_superuser=False)
        script = self.script(plan)
        assert "SUPERUSER" not in script
        assert script.count("GRANT") == script.count('GRANT "pg_monitor"') == 1
        assert plan.withheld == [
            "SUPERUSER of boss",
            "REPLICATION of boss",
            "membership of plain in boss",
            "membership of plain in pg_execute_server_program",
        ]

    def test_rights_on_settings_are_power(self) -> None:
        """Who may set archive_command runs programs as the server."""
        app = RoleFacts(name="template_service_app")
        facts = ServerRoles(
            roles=(RoleFacts(name="tuner"), app),
            parameters=(
                ParameterGrant(role="tuner", name="a.work_mem", privilege="SET", grantable=True),
                ParameterGrant(role=app.name, name="x", privilege="ALTER SYSTEM"),
            ),
            memberships=(
                Membership(role="tuner", member=app.name),
                Membership(role="here", member=app.name),
            ),
        )
        here = {"here": RoleFacts(name="here")}
        plan = RolePlan(facts, existing=here, configuring=frozenset({"here"}))
        script = self.script(plan)
        assert 'GRANT SET ON PARAMETER "a"."work_mem" TO "tuner" WITH GRANT OPTION' in script
        assert script.count("GRANT ") == 2
        assert plan.withheld == [
            "ALTER SYSTEM ON PARAMETER x of template_service_app",
            "membership of template_service_app in tuner",
            "membership of template_service_app in here",
        ]
        assert "PARAMETER" not in self.script(RolePlan(facts, is_superuser=False))

    def test_a_role_that_has_power_on_this_server_only_gets_no_members(self) -> None:
        """Its namesake of the backup was harmless."""
        facts = replace_roles(self.FACTS, RoleFacts(name="boss"), RoleFacts(name="plain"))
        plan = RolePlan(facts, existing={"boss": self.BOSS})
        assert 'GRANT "boss"' not in self.script(plan)

    @pytest.mark.parametrize("comment", [None, mark("app")])
    def test_roles_of_the_application_never_get_power(self, comment: str | None) -> None:
        """Whatever the backup says of them, and whoever restores it."""
        name = "template_service_app" if comment is None else "other_app"
        app = RoleFacts(
            name=name,
            superuser=True,
            create_role=True,
            replication=True,
            bypass_rls=True,
            login=True,
            comment=comment,
        )
        members = tuple(
            Membership(role=role, member=name)
            for role in ("boss", "pg_execute_server_program", "pg_read_all_data", "plain")
        )
        facts = ServerRoles(roles=(*self.FACTS.roles, app), memberships=members)
        script = self.script(RolePlan(facts))
        assert f'CREATE ROLE "{name}" WITH LOGIN INHERIT' in script
        assert script.count("GRANT") == 1
        assert f'GRANT "plain" TO "{name}"' in script

    def test_the_maintenance_role_keeps_replication_and_its_memberships(self) -> None:
        """Base backups need them: ``db roles apply`` grants the same."""
        role = RoleFacts(name="template_service_maintenance", replication=True, superuser=True)
        facts = ServerRoles(
            roles=(role,),
            memberships=(Membership(role="pg_read_all_data", member=role.name),),
        )
        script = self.script(RolePlan(facts))
        assert "WITH REPLICATION INHERIT" in script
        assert "GRANT" in script


def replace_roles(facts: ServerRoles, *roles: RoleFacts) -> ServerRoles:
    """Return the same with other roles."""
    return facts.model_copy(update={"roles": roles})
