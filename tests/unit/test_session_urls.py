"""The address of the database: as libpq reads it, with one host or several."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine

from db.addresses import CLIENT_ENCODING, connection_options
from db.postgres_errors import refusal
from db.session import sqlalchemy_url
from tests.support.cases import each
from worker.local.server import mask

DIALECT = create_engine("postgresql+psycopg://").dialect
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)


def driver_options(url: str) -> dict[str, str]:
    """Return what SQLAlchemy hands to psycopg."""
    _, options = DIALECT.create_connect_args(sqlalchemy_url(url))
    return {name: value for name, value in options.items() if isinstance(value, str)}


@each(
    ("url", "options"),
    [
        ("postgresql://u:p@h:1/d", {"host": "h", "port": "1"}),
        ("postgres://u:p@h/d", {"host": "h"}),
        ("postgresql+psycopg://u:p@h:1/d?sslmode=require", {"port": "1", "sslmode": "require"}),
        ("postgresql://u:p@/d?host=%2Frun%2Fpostgresql", {"host": "/run/postgresql"}),
        ("postgresql://u:p@[::1]:1/d", {"host": "::1", "port": "1"}),
        (
            "postgresql://u:p@one:1,two:2/d",
            {"host": "one,two", "port": "1,2", "target_session_attrs": "read-write"},
        ),
        (
            "postgresql://u:p@one,two:2/d?target_session_attrs=any",
            {"host": "one,two", "port": ",2", "target_session_attrs": "any"},
        ),
        (
            "postgresql://u:p@[::1]:1,[::2]:2/d",
            {"host": "::1,::2", "port": "1,2", "target_session_attrs": "read-write"},
        ),
    ],
)
def test_an_address_means_the_same_to_libpq_and_to_the_engine(
    url: str, options: dict[str, str]
) -> None:
    """Of several hosts the one that takes writes, unless another is asked for; text is UTF-8."""
    driver = driver_options(url)
    assert driver == connection_options(url) | {"client_encoding": CLIENT_ENCODING}
    assert (driver["user"], driver["password"], driver["dbname"]) == ("u", "p", "d")
    assert options.items() <= driver.items()
    assert ("target_session_attrs" in driver) == ("," in driver.get("host", ""))


@given(user=WORDS, password=WORDS, database=WORDS)
def test_any_character_may_be_in_names_and_password(
    user: str, password: str, database: str
) -> None:
    """Percent-encoded, as in every URL."""
    parts = [quote(part, safe="") for part in (user, password, database)]
    url = "postgresql://{}:{}@one:1,two:2/{}".format(*parts)
    options = driver_options(url)
    assert (options["user"], options["password"], options["dbname"]) == (user, password, database)


@each(
    "url",
    [
        "postgresql://u:sekret%zz@h/d",
        "postgresql://u:p@[::1/sekret",
        "postgresql://u:p@h/d?sekret=1",
        "sekret",
    ],
)
def test_what_is_no_address_is_refused_without_being_shown(url: str) -> None:
    """It may hold a password."""
    with pytest.raises(ValueError, match="expected") as refused:
        sqlalchemy_url(url)
    assert "host1:port1,host2:port2" in str(refused.value)
    assert "sekret" not in str(refused.value)


def test_the_password_of_an_address_with_several_hosts_is_masked() -> None:
    """As that of any other, and all hosts stay."""
    assert mask("postgresql://u:sekret@one:1,two:2/d") == "postgresql://u:***@one:1,two:2/d"


@each(
    ("message", "shown"),
    [
        (
            "connection failed: Connection refused\nIs it running?",
            "connection failed: Connection refused",
        ),
        (
            "last\nMultiple connection attempts failed.\n- host one: away\n- host two: full",
            "host one: away; host two: full",
        ),
    ],
)
def test_each_host_says_why_it_refused(message: str, shown: str) -> None:
    """In one line."""
    assert refusal(OSError(message)) == shown
