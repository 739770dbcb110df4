"""Lock files, and a package index on a later day: with newer releases of every locked package."""

import hashlib
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

_REQUIREMENT = re.compile(r"^(?=[a-z])(.+?)((?: \\\n    --hash=\S+)+)$", re.MULTILINE)
_COPIED = ("Requires-Python", "Requires-Dist", "Provides-Extra")


@dataclass(frozen=True)
class Locked:
    """One requirement of a lock file: name, version, and for which interpreters."""

    requirement: Requirement

    @property
    def name(self) -> str:
        """The normalized name of the package."""
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        """The pinned version."""
        (specifier,) = self.requirement.specifier
        assert specifier.operator == "=="
        return specifier.version

    def applies(self, environment: Mapping[str, str] | None = None) -> bool:
        """Whether an interpreter installs it, by default the one that runs this."""
        marker = self.requirement.marker
        return marker is None or marker.evaluate(dict(environment or {}))


def read_lock(lock: Path) -> list[Locked]:
    """Return the requirements of a lock file, which has nothing else but comments."""
    text = re.sub(r"^#.*\n", "", lock.read_text(), flags=re.MULTILINE)
    assert _REQUIREMENT.sub("", text).strip() == "", f"{lock.name}: not pinned with hashes"
    return [Locked(Requirement(match[1])) for match in _REQUIREMENT.finditer(text)]


def versions(locked: list[Locked]) -> dict[str, str]:
    """Return what this interpreter installs from a lock file."""
    return {each.name: each.version for each in locked if each.applies()}


def installed(environment: Path) -> dict[str, str]:
    """Return the packages in a virtual environment."""
    distributions = metadata.distributions(path=[str(_site_packages(environment))])
    return {canonicalize_name(each.name): each.version for each in distributions}


class LaterIndex:
    """A package index with two wheels of each locked package: the locked release and a newer one.

    They have the metadata of the packages installed here and no code, but for setuptools, which
    builds the project.
    """

    def __init__(self, folder: Path, lock: Path) -> None:
        self._folder = folder
        self._hashes: dict[tuple[str, str], str] = {}
        for locked in read_lock(lock):
            code = locked.name == "setuptools"
            self._add(locked.name, locked.version, _files(locked.name) if code else {})
            self._add(locked.name, _newer(locked.version), {})
        if oldest := oldest_pip():
            self._publish("pip", oldest.name, oldest.read_bytes())

    @property
    def url(self) -> str:
        """What pip is given as its index; on disk, so that there is no server to wait for."""
        return self._folder.as_uri()

    def lock(self, locked: list[Locked]) -> str:
        """Return a lock file with the hashes of this index."""
        return "".join(
            f"{each.requirement} --hash=sha256:{self._hashes[each.name, each.version]}\n"
            for each in locked
        )

    def _add(self, name: str, version: str, files: Mapping[str, bytes]) -> None:
        wheel = f"{name.replace('-', '_')}-{version}"
        information = {
            "METADATA": "\n".join(
                ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *_headers(name)]
            ),
            "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        content = {f"{wheel}.dist-info/{key}": text.encode() for key, text in information.items()}
        content |= files
        record = f"{wheel}.dist-info/RECORD"
        content[record] = "".join(f"{path},,\n" for path in [*content, record]).encode()
        path = self._folder / f"{wheel}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for member, data in content.items():
                archive.writestr(member, data)
        data = path.read_bytes()
        path.unlink()
        self._hashes[name, version] = hashlib.sha256(data).hexdigest()
        self._publish(name, path.name, data)

    def _publish(self, name: str, wheel: str, data: bytes) -> None:
        page = self._folder / name / "index.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        (page.parent / wheel).write_bytes(data)
        with page.open("a") as links:
            links.write(f'<a href="{wheel}">{wheel}</a>\n')


def oldest_pip() -> Path | None:
    """Return the wheel of the oldest pip of Python 3.11, or nothing where pip is never so old.

    ``make`` downloads it with the packages for tests, so that tests need no network.
    """
    if sys.version_info >= (3, 12):
        return None
    wheels = list(Path(sys.prefix).glob("pip-*.whl"))
    if len(wheels) != 1:
        pytest.fail(f"{len(wheels)} wheels of pip in .venv: run make .venv/.dev")
    return wheels[0]


def create_environment(environment: Path) -> None:
    """Create a virtual environment with the oldest pip that this Python has ever come with.

    From 3.12 that is the one of its own: Python 3.12 cannot import pip 22.3.
    """
    wheel = oldest_pip()
    option = ["--without-pip"] if wheel else []
    subprocess.run([sys.executable, "-m", "venv", *option, environment], check=True)
    if wheel:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(_site_packages(environment))


def _site_packages(environment: Path) -> Path:
    (folder,) = environment.glob("lib/python3*/site-packages")
    return folder


def _newer(version: str) -> str:
    """Return a later version that meets the same bounds, but no pin."""
    parsed = Version(version)
    post = 0 if parsed.post is None else parsed.post + 1
    return f"{parsed.base_version}.post{post}"


def _headers(name: str) -> Iterator[str]:
    """Yield what a package requires; of one that is not installed here, nothing is known."""
    try:
        message = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return
    for header in _COPIED:
        for value in message.get_all(header, ()):
            yield f"{header}: {value}"


def _files(name: str) -> dict[str, bytes]:
    """Return what the wheel of an installed package consists of, but for its list of files."""
    return {
        str(path): Path(str(path.locate())).read_bytes()
        for path in metadata.files(name) or ()
        if path.name != "RECORD" and path.suffix != ".pyc" and ".." not in path.parts
    }


def install_alone(environment: Path, project: Path, *, extra: str) -> None:
    """Build the wheel of a project, and install it with what it requires, as pip does.

    From an index of the packages that are installed here, with their code: no network is needed.
    """
    with TemporaryDirectory() as folder:
        source, index = Path(folder) / "source", Path(folder) / "index"
        # A build leaves files next to its sources.
        shutil.copytree(project, source, ignore=shutil.ignore_patterns("build", "*.egg-info"))
        build = [
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-index",
            "--no-build-isolation",
            "-w",
        ]
        build += ["--no-build-isolation", "-w", str(index), str(source)]
        subprocess.run([sys.executable, *build], check=True)
        (wheel,) = index.iterdir()
        for name in _required_by(source, extra):
            _repack(name, index)
        python = environment / "bin" / "python"
        install = ["-m", "pip", "install", "--quiet", "--no-compile", "--no-index", "--find-links"]
        subprocess.run([python, *install, str(index), f"{wheel}[{extra}]"], check=True)


def _required_by(project: Path, extra: str) -> set[str]:
    """Return all packages that an interpreter like this one needs for a project with an extra."""
    table = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    lines = [*table["dependencies"], *table["optional-dependencies"][extra]]
    open_ = [Requirement(line) for line in lines]
    found: dict[str, set[str]] = {}
    while open_:
        requirement = open_.pop()
        name = canonicalize_name(requirement.name)
        extras = {"", *requirement.extras}
        if extras <= found.get(name, set()):
            continue
        found.setdefault(name, set()).update(extras)
        for line in metadata.requires(name) or ():
            required = Requirement(line)
            marker = required.marker
            if marker is None or any(marker.evaluate({"extra": each}) for each in extras):
                open_.append(required)
    return set(found)


def _repack(name: str, folder: Path) -> None:
    """Write the wheel of an installed package."""
    files = _files(name)
    (information,) = {path.split("/")[0] for path in files if path.endswith(".dist-info/METADATA")}
    wheel_name = information.removesuffix(".dist-info")
    # The last one, if it is also for Python 2.
    *_, tag = re.findall(r"^Tag: (\S+)", files[f"{information}/WHEEL"].decode(), re.MULTILINE)
    files[f"{information}/RECORD"] = "".join(f"{path},,\n" for path in files).encode()
    with zipfile.ZipFile(folder / f"{wheel_name}-{tag}.whl", "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
