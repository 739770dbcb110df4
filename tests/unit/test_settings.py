"""Settings: wrong ones stop the start, all named at once, and none of their values is shown."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from db.addresses import Database, without_credentials
from tasks.configuration import Operations
from tasks.rendering.limits import Limits
from tests.support.cases import each
from worker import directories
from worker.configuration import configuration
from worker.directories import DIRECTORY_VARIABLE
from worker.settings import (
    PREFIX,
    VARIABLES,
    Settings,
    SettingsError,
    environment_name,
    explain,
    load,
)

ADDRESSES = {
    "DATABASE_URL": "postgresql://user:sekret@localhost:5432/templates",
    "CELERY_BROKER_URL": "redis://:sekret@localhost:6379/0",
    "CELERY_RESULT_BACKEND": "redis://:sekret@localhost:6379/1",
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the three addresses, and nothing else of this machine's."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in ADDRESSES.items():
        monkeypatch.setenv(name, value)


def made() -> Settings:
    """Return the settings of the environment, without the cache of :func:`load`."""
    settings: Settings = load.__wrapped__()
    return settings


def reported(monkeypatch: pytest.MonkeyPatch, **wrong: str | None) -> dict[str, str]:
    """Return what the start says of wrong settings: name and words."""
    for name, value in wrong.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        made()
    first, *lines = str(caught.value).splitlines()
    assert first == "template-service cannot start:"
    return dict(line.split(": ", 1) for line in lines)


def test_a_transaction_pooler_needs_an_address_for_maintenance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A dump needs a session, which such a pooler does not give."""
    (problem,) = reported(monkeypatch, TEMPLATE_SERVICE_DB_TRANSACTION_POOLER="true").values()
    assert "TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL" in problem
    monkeypatch.setenv("TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL", ADDRESSES["DATABASE_URL"])
    assert made().db.transaction_pooler


def test_the_three_addresses_are_enough() -> None:
    """Everything else has a default."""
    settings = made()
    assert settings.database_url.get_secret_value() == ADDRESSES["DATABASE_URL"]
    assert settings.broker_url.get_secret_value() == ADDRESSES["CELERY_BROKER_URL"]
    assert settings.result_backend.get_secret_value() == ADDRESSES["CELERY_RESULT_BACKEND"]


def test_defaults_are_those_of_the_guide_and_the_contract() -> None:
    """Pool 20 + 10, 30 s, an hour, pre-ping; the limits; 30 days and 10 versions."""
    settings = made()
    assert (settings.db.pool_size, settings.db.max_overflow) == (20, 10)
    assert (settings.db.pool_timeout, settings.db.pool_recycle) == (30, 3600)
    assert settings.db.pool_pre_ping is True
    kept = settings.housekeeping
    assert (kept.purge_after_days, kept.keep_versions) == (30, 10)
    assert settings.default_language == "en"
    assert settings.task_time_limit * 2 < settings.visibility_timeout


def test_policies_are_passed_on_as_they_are() -> None:
    """No default is written twice: those of the policies are those of the settings."""
    settings = made()
    made_of_it = configuration(settings)
    assert made_of_it.limits == settings.limits == Limits()
    assert made_of_it.retry is settings.retry
    assert made_of_it.housekeeping is settings.housekeeping
    assert settings.operations == Operations()
    assert made_of_it.operations.backup.time_limit == Operations().backup.time_limit
    assert made_of_it.database == Database(ADDRESSES["DATABASE_URL"])


def test_the_time_of_a_batch_follows_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch and the trial renders of a publish end before their task is interrupted."""
    monkeypatch.setenv("TEMPLATE_SERVICE_TASK_SOFT_TIME_LIMIT", "25")
    limits = configuration(made()).limits
    assert (limits.batch_seconds, limits.trial_seconds) == (15, 2.5)


def test_every_variable_reaches_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each name of the environment leads to one field, whose value it changes."""
    plain = made()
    for variable in VARIABLES.values():
        assert environment_name(*variable.path) == variable.name
    changed = {"DB_POOL_SIZE": "7", "MAX_RETRIES": "2", "BACKUP_KEEP_DAYS": "9"}
    changed |= {"SCRATCH_DIRECTORY": "/scratch", "SCHEDULE_VACUUM": "1 2 3 4 5"}
    for name, value in changed.items():
        monkeypatch.setenv(f"{PREFIX}{name}", value)
    settings = made()
    assert (plain.db.pool_size, settings.db.pool_size) == (20, 7)
    assert settings.retry.most == 2
    assert settings.operations.backup.keep_days == 9
    assert settings.operations.backup.scratch == "/scratch"
    assert settings.schedule["maintenance.vacuum"] == "1 2 3 4 5"
    assert settings.schedule["maintenance.backup"] == plain.schedule["maintenance.backup"]


@pytest.mark.parametrize(
    "url",
    ["postgresql://a/b", "postgres://a/b", "postgresql+psycopg://a/b"],
)
def test_the_usual_spellings_of_the_database_are_taken(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """Plain ``postgresql://`` is what users write."""
    monkeypatch.setenv("DATABASE_URL", url)
    assert made().database_url.get_secret_value() == url


@pytest.mark.parametrize("scheme", ["redis", "rediss", "sentinel", "amqp", "amqps"])
def test_every_broker_of_the_contract_is_taken(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """And the result backend is one of those that keep results."""
    monkeypatch.setenv("CELERY_BROKER_URL", f"{scheme}://localhost/")
    assert made()
    if scheme.startswith("amqp"):
        wrong = reported(monkeypatch, CELERY_RESULT_BACKEND=f"{scheme}://localhost/")
        assert set(wrong) == {"CELERY_RESULT_BACKEND"}


def test_a_broker_may_have_several_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their addresses begin alike; where they are shown, no password is."""
    nodes = "amqp://u:sekret@one//;amqp://u:sekret@two:5673//"
    monkeypatch.setenv("CELERY_BROKER_URL", nodes)
    assert made().broker_url.get_secret_value() == nodes
    assert without_credentials(nodes) == "amqp://one//;amqp://two:5673//"
    for wrong in (f"{nodes};", f"{nodes};redis://three", f"{nodes};three"):
        assert set(reported(monkeypatch, CELERY_BROKER_URL=wrong)) == {"CELERY_BROKER_URL"}


def test_every_wrong_setting_is_named_in_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator repairs them all before the next try."""
    wrong = reported(
        monkeypatch,
        DATABASE_URL="mysql://user:sekret@localhost/db",
        CELERY_BROKER_URL="http://user:sekret@localhost",
        CELERY_RESULT_BACKEND=None,
        TEMPLATE_SERVICE_DB_POOL_SIZE="0",
        TEMPLATE_SERVICE_LIMIT_BODY_BYTES="much",
        TEMPLATE_SERVICE_SCHEDULE_VACUUM="every sekret",
        TEMPLATE_SERVICE_DEFAULT_LANGUAGE="english",
        TEMPLATE_SERVICE_CALLBACKS="(sekret",
        TEMPLATE_SERVICE_REMOTE_CONTROL="perhaps",
        TEMPLATE_SERVICE_LIMIT_RENDER_MEMORY_MB="1",
    )
    assert set(wrong) == {
        "DATABASE_URL",
        "CELERY_BROKER_URL",
        "CELERY_RESULT_BACKEND",
        "TEMPLATE_SERVICE_DB_POOL_SIZE",
        "TEMPLATE_SERVICE_LIMIT_BODY_BYTES",
        "TEMPLATE_SERVICE_SCHEDULE_VACUUM",
        "TEMPLATE_SERVICE_DEFAULT_LANGUAGE",
        "TEMPLATE_SERVICE_CALLBACKS",
        "TEMPLATE_SERVICE_REMOTE_CONTROL",
        "TEMPLATE_SERVICE_LIMIT_RENDER_MEMORY_MB",
    }
    assert "postgresql" in wrong["DATABASE_URL"]
    assert "amqps" in wrong["CELERY_BROKER_URL"]
    assert "is not set" in wrong["CELERY_RESULT_BACKEND"]
    assert "five cron fields" in wrong["TEMPLATE_SERVICE_SCHEDULE_VACUUM"]
    assert "BCP 47" in wrong["TEMPLATE_SERVICE_DEFAULT_LANGUAGE"]


NUMBERS = sorted(
    variable.name
    for variable in VARIABLES.values()
    if isinstance(variable.default, int | float) and not isinstance(variable.default, bool)
)


@each("name", NUMBERS)
def test_nonsense_numbers_are_refused(name: str) -> None:
    """Dates and PostgreSQL's numbers end somewhere; what is beyond them is a mistyped number."""
    values = ["-1", "nan", "inf", "1e400", "1000000000000000000000", "many", ""]
    if name.endswith("_DAYS"):
        values.append("40000")
    with pytest.MonkeyPatch.context() as patch:
        for value in values:
            assert reported(patch, **{name: value}).keys() == {name}


@pytest.mark.parametrize("name", ["MAINTENANCE_TIME_LIMIT", "BACKUP_TIME_LIMIT"])
def test_a_time_limit_of_maintenance_leaves_time_to_end(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It is interrupted a minute before it is killed."""
    assert reported(monkeypatch, **{PREFIX + name: "60"})


@pytest.mark.parametrize("target", ["", " ", " a", "s3://", "s3:/a", "s3://b?c", "file:///a"])
def test_a_target_that_names_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """An empty one would be the current directory."""
    wrong = reported(
        monkeypatch,
        TEMPLATE_SERVICE_BACKUP_TARGET=target,
        TEMPLATE_SERVICE_RECOVERY_DIRECTORY="",
    )
    assert "s3://bucket/prefix" in wrong["TEMPLATE_SERVICE_BACKUP_TARGET"]
    assert "base backups" in wrong["TEMPLATE_SERVICE_RECOVERY_DIRECTORY"]


def test_relative_targets_do_not_depend_on_the_current_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, checkout: Path
) -> None:
    """Worker, beat and an operator's shell find the same dumps."""
    monkeypatch.chdir(tmp_path)
    operations = configuration(made()).operations
    assert operations.backup.target == str(checkout / ".local" / "backups")
    assert operations.recovery.base == checkout / ".local" / "recovery" / "base"
    monkeypatch.setenv("TEMPLATE_SERVICE_BACKUP_TARGET", "dumps")
    monkeypatch.setattr(directories, "_is_checkout", lambda: False)
    operations = configuration(made()).operations
    assert operations.backup.target == "/var/lib/template-service/dumps"
    assert operations.recovery.directory == Path("/var/lib/template-service/recovery")
    monkeypatch.setenv("TEMPLATE_SERVICE_BACKUP_TARGET", "s3://bucket/dumps")
    assert configuration(made()).operations.backup.target == "s3://bucket/dumps"


def test_a_schedule_that_never_comes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody would notice that no dump is taken."""
    wrong = reported(monkeypatch, TEMPLATE_SERVICE_SCHEDULE_BACKUP="0 2 31 2 *")
    assert wrong.keys() == {"TEMPLATE_SERVICE_SCHEDULE_BACKUP"}


def test_the_start_ends_with_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisor sees that it failed; Python exits with 1 for an exit code that is text."""
    monkeypatch.delenv("DATABASE_URL")
    with pytest.raises(SystemExit) as caught:
        made()
    assert isinstance(caught.value.code, str)


@pytest.mark.parametrize(
    "changed",
    [
        {"TEMPLATE_SERVICE_VISIBILITY_TIMEOUT": "3400"},
        {"TEMPLATE_SERVICE_TASK_TIME_LIMIT": "1800"},
        {"TEMPLATE_SERVICE_MAINTENANCE_TIME_LIMIT": "1800"},
        {"TEMPLATE_SERVICE_TASK_SOFT_TIME_LIMIT": "30"},
    ],
)
def test_time_limits_must_fit_together(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, str]
) -> None:
    """A message that outlives the visibility timeout would be worked on twice."""
    (words,) = reported(monkeypatch, **changed).values()
    assert PREFIX in words


@examples(max_examples=60, deadline=None)
@given(st.from_regex(r"\Asekret[a-z0-9]{4,12}\Z"), st.sampled_from(sorted(VARIABLES)))
def test_no_value_of_a_wrong_setting_is_shown(secret: str, name: str) -> None:
    """A URL holds a password, and what was pasted into the wrong variable may be one."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv(name, f"[x://{secret}:{secret}@h:[")
        try:
            settings = made()
        except SettingsError as error:
            assert secret not in str(error)  # noqa: PT017 - some settings take any text
            assert name in str(error)  # noqa: PT017 - the same
        else:
            value: Any = settings
            for step in VARIABLES[name].path:
                value = value[step] if isinstance(value, dict) else getattr(value, step)
            assert isinstance(value, str | SecretStr | Path)


def test_passwords_are_in_no_repr() -> None:
    """Settings may be logged."""
    settings = made()
    assert "sekret" not in repr(settings)
    assert "sekret" not in str(settings.model_dump())
    assert isinstance(settings.database_url, SecretStr)


def test_a_setting_that_nobody_knows_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """During a deploy old and new workers share an environment."""
    monkeypatch.setenv("TEMPLATE_SERVICE_OF_THE_NEXT_VERSION", "1")
    assert made()


def test_explaining_needs_no_environment() -> None:
    """Settings made in code are explained by the names that operators know."""
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"database_url": "x", "db": {"pool_size": 0}})
    words = explain(caught.value)
    assert "DATABASE_URL: " in words
    assert "TEMPLATE_SERVICE_DB_POOL_SIZE: " in words


def test_the_environment_is_read_once_for_a_process() -> None:
    """Every part of a worker sees the same settings."""
    load.cache_clear()
    try:
        assert load() is load()
    finally:
        load.cache_clear()


class TestExampleFile:
    """``.env.example`` lists every setting with its default and meaning."""

    @pytest.fixture
    def lines(self, checkout: Path) -> list[str]:
        """Return the lines of the file."""
        return (checkout / ".env.example").read_text(encoding="utf-8").splitlines()

    @pytest.fixture
    def listed(self, lines: list[str]) -> dict[str, str]:
        """Return names and defaults."""
        matches = (re.fullmatch(r"(?:# ?)?([A-Z][A-Z0-9_]+)=(.*)", line) for line in lines)
        return {match[1]: match[2].strip("'\"") for match in matches if match is not None}

    def test_lists_every_setting_and_no_other(self, listed: dict[str, str]) -> None:
        """What can be set is found there; what stands there can be set."""
        # Where the commands keep their own servers: no setting of a worker.
        assert set(listed) == {*VARIABLES, DIRECTORY_VARIABLE}

    def test_gives_the_defaults(
        self, listed: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The file as it is makes the settings that there are without it."""
        plain = made()
        for name in VARIABLES:
            if name not in ADDRESSES:
                monkeypatch.setenv(name, listed[name])
        assert made() == plain

    def test_describes_each_setting(self, lines: list[str]) -> None:
        """The words of the settings stand above each of them."""
        words: dict[str, str] = {}
        comment: list[str] = []
        for line in lines:
            match = re.fullmatch(r"(?:# ?)?([A-Z][A-Z0-9_]+)=(.*)", line)
            if match is not None:
                words[match[1]] = " ".join(comment)
                comment = []
            elif line.startswith("#"):
                comment.append(line.removeprefix("#").strip())
            else:
                comment = []
        for name, variable in VARIABLES.items():
            assert variable.description in words[name]
