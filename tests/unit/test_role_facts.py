"""Roles of a backup: no name, comment, value or verifier becomes a statement of its own."""

from collections.abc import Callable, Iterable

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
from db.errors import OperationError
from db.roles.names import mark
from tests.support.cases import each
from tests.support.roles_sql import parse_roles_sql

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
        name=st.just("a"),
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
    statements = [statement.as_string() for statement, _ in role_statements(RolePlan(facts))]
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


@each(
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


@each(
    "facts",
    [
        '{"roles": [{"name": ""}]}',
        '{"roles": [{"name": "a\\u0000b"}]}',
        '{"memberships": [{"role": "pg_execute_server_program\\u0000", "member": "a"}]}',
        '{"settings": [{"role": "a", "name": "b", "values": ["c\\u0000"]}]}',
    ],
)
def test_text_that_the_server_would_cut_is_refused(facts: str) -> None:
    """The name that was checked would not be the name in the statement."""
    with pytest.raises(OperationError) as refused:
        ServerRoles.parse(facts.encode(), "a.roles.json.gz")
    assert refused.value.kind == "archive_unreadable"


KEYWORDS = {"SUPERUSER": "superuser", "CREATEROLE": "create_role"}
SMALL = ["a", "b", "c", "d", "template_service_app"]


def small_servers() -> st.SearchStrategy[ServerRoles]:
    """Return servers with a few roles of few powers, and memberships without circles."""
    roles = st.lists(
        st.builds(
            RoleFacts,
            name=st.sampled_from(SMALL),
            superuser=st.booleans(),
            create_role=st.booleans(),
        ),
        unique_by=lambda role: role.name,
        min_size=1,
    )
    ranks = ["pg_execute_server_program", *SMALL]
    pairs = st.lists(st.tuples(st.sampled_from(ranks), st.sampled_from(SMALL)), unique=True)
    upwards = pairs.map(
        lambda found: tuple(
            Membership(role=role, member=member)
            for role, member in found
            if ranks.index(role) < ranks.index(member)
        )
    )
    return st.builds(ServerRoles, roles=roles.map(tuple), memberships=upwards).map(consistent)


def consistent(facts: ServerRoles) -> ServerRoles:
    """Return the facts without memberships of roles that there are not."""
    names = {role.name for role in facts.roles} | {"pg_execute_server_program"}
    kept = tuple(each for each in facts.memberships if {each.role, each.member} <= names)
    return facts.model_copy(update={"memberships": kept})


def powers_by_name(
    roles: Iterable[RoleFacts], memberships: Iterable[Membership]
) -> dict[str, set[str]]:
    """Return the powers of each role, passed on until nothing changes."""
    powers: dict[str, set[str]] = {name: set() for name in SMALL}
    powers["pg_execute_server_program"] = {"programs"}
    for role in roles:
        powers[role.name] = {word for word, name in KEYWORDS.items() if getattr(role, name)}
        if role.superuser:
            powers[role.name] |= {"CREATEROLE", "programs"}
    for _ in SMALL:
        for membership in memberships:
            powers[membership.member] |= powers[membership.role]
    return powers


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
        return "; ".join(statement.as_string() for statement, _ in role_statements(plan))

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
        right = ParameterGrant(role="here", name="x", privilege="SET")
        here = ServerRoles(roles=(RoleFacts(name="here"),), parameters=(right,))
        plan = RolePlan(facts, here)
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
        plan = RolePlan(facts, ServerRoles(roles=(self.BOSS,)))
        assert 'GRANT "boss"' not in self.script(plan)

    @each("power", ["boss", "pg_execute_server_program"])
    @each("where", ["backup", "server"])
    def test_a_chain_of_memberships_leads_to_no_power(self, power: str, where: str) -> None:
        """Neither one of the backup, nor one that only the server has."""
        app = RoleFacts(name="template_service_app")
        chain = (Membership(role=power, member="middle"), Membership(role="middle", member="end"))
        roles = (self.BOSS, RoleFacts(name="middle"), RoleFacts(name="end"))
        ends = tuple(Membership(role="end", member=each) for each in (app.name, "plain"))
        has = ServerRoles(roles=roles, memberships=chain)
        wanted = ServerRoles(
            roles=(*roles, app, RoleFacts(name="plain")),
            memberships=(*reversed(chain), *ends) if where == "backup" else ends,
        )
        plan = RolePlan(wanted, has if where == "server" else ServerRoles())
        script = self.script(plan)
        assert ('GRANT "end" TO "plain"' in script) == (where == "backup")
        assert f"membership of {app.name} in end" in plan.withheld

    @given(small_servers(), small_servers(), st.booleans())
    def test_nobody_gets_a_power_that_he_had_not(
        self,
        wanted: ServerRoles,
        server: ServerRoles,
        is_superuser: bool,  # noqa: FBT001 - a value
    ) -> None:
        """By whatever memberships of backup and server; and no role of this service gets any."""
        plan = RolePlan(wanted, server, is_superuser=is_superuser)
        script = self.script(plan)
        granted = [
            each
            for each in wanted.memberships
            if f'GRANT "{each.role}" TO "{each.member}"' in script
        ]
        kept = [
            role.model_copy(
                update={
                    name: getattr(role, name) and f"{word} of {role.name}" not in plan.withheld
                    for word, name in KEYWORDS.items()
                }
            )
            for role in plan.missing
        ]
        after = powers_by_name((*server.roles, *kept), (*server.memberships, *granted))
        before = powers_by_name(wanted.roles, wanted.memberships)
        for role in plan.missing:
            had = before[role.name]
            is_ours = role.name == "template_service_app"
            assert after[role.name] <= (set() if is_ours or not is_superuser else had)

    @each("comment", [None, mark("app")])
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
