"""The servers of a test run: real ones, started once for each test process that needs them."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tasks import runtime
from tests.support.distribution import Distribution, rank
from tests.support.producer import Producer
from tests.support.stacks import QUICK, small_stack
from tests.support.tasks import Tasks
from worker.local import LocalStack

# Where a developer's shell sets it, each process that a test starts would compile all that it
# imports, which is two thirds of its start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# An example takes several times as long while other processes have the processors.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")

_own_folder = pytest.StashKey[Path]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Give this run a folder of its own, unless ``--basetemp`` names one.

    pytest's usual folder is common to all runs of a user, and each closes it when it begins: a
    PostgreSQL server of another one, which root runs as another user, could not read its files.
    """
    if config.option.basetemp is None and not hasattr(config, "workerinput"):
        folder = Path(tempfile.mkdtemp(prefix="tests-"))
        config.stash[_own_folder] = folder
        config.option.basetemp = str(folder / "run")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Leave nothing behind a run that has passed."""
    folder = session.config.stash.get(_own_folder, None)
    if folder is not None and exitstatus == pytest.ExitCode.OK:
        shutil.rmtree(folder)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have the longest parts of the run begin; the others stay in the random order they have."""
    items.sort(key=lambda item: rank(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Distribution:  # noqa: ANN401 - pytest-xdist's
    """Distribute parts of the run, whatever ``--dist`` says."""
    return Distribution(config, log)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """PostgreSQL, migrated, and Valkey; no worker."""
    with small_stack(tmp_path_factory.mktemp("servers"), workers=0) as stack:
        yield stack


@pytest.fixture(scope="session")
def tasks(servers: LocalStack) -> Iterator[Tasks]:
    """All tasks in this process, on the database of ``servers``."""
    with pytest.MonkeyPatch.context() as patch:
        # All threads of a test share one render process, where a worker's process has its own.
        long_limits = {
            "TEMPLATE_SERVICE_TASK_SOFT_TIME_LIMIT": "40",
            "TEMPLATE_SERVICE_TASK_TIME_LIMIT": "60",
        }
        for name, value in (servers.addresses() | QUICK | long_limits).items():
            patch.setenv(name, value)
        from worker.app import app  # noqa: PLC0415 - its settings come from the environment

        app.loader.import_default_modules()
    # The settings are read by now; left in the environment, CELERY_BROKER_URL would win over the
    # broker of every other Celery app in this process.
    yield Tasks(app)
    runtime.close()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """PostgreSQL, Valkey and two real workers of two processes each."""
    with small_stack(tmp_path_factory.mktemp("stack"), workers=2, metrics=True) as stack:
        yield stack


@pytest.fixture(scope="session")
def producer(stack: LocalStack) -> Iterator[Producer]:
    """Give a producer on the broker of ``stack``."""
    with Producer.of(stack) as producer:
        yield producer


@pytest.fixture(scope="session")
def checkout() -> Path:
    """Return the folder of the repository."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep settings of the developer's shell out of the tests."""
    if "TEMPLATE_SERVICE_LOCAL_DIR" in os.environ:
        monkeypatch.delenv("TEMPLATE_SERVICE_LOCAL_DIR")
