"""The service's wheel: what is in it, and that it works without a checkout."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import psutil
import pytest

SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "alembic.ini")
FOR_TESTS = "private_names.txt"
PACKAGES = ("alembic", "db", "tasks", "worker")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Path:
    """Build the wheel from a copy of the sources: a build leaves files next to them."""
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        shutil.copyfile(checkout / name, source / name)
    for name in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(checkout / name, source / name, ignore=ignored)
    build = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([sys.executable, *build, "-w", str(folder), str(source)], check=True)
    (built,) = folder.iterdir()
    return built


def test_the_wheel_has_all_that_the_packages_read(wheel: Path, checkout: Path) -> None:
    """Migrations, markers of types, SQL, Lua, tables of CLDR, and the licence."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        assert "License-Expression: Apache-2.0" in archive.read(metadata).decode()
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    wanted = {f"{package}/py.typed" for package in ("db", "tasks", "worker")}
    wanted |= {"db/alembic.ini"}
    for package in PACKAGES:
        prefix = "db/" if package == "alembic" else ""
        wanted |= {
            prefix + str(file.relative_to(checkout))
            for file in (checkout / package).rglob("*")
            if file.is_file() and file.suffix != ".pyc" and file.name != FOR_TESTS
        }
    assert wanted - names == set()
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == {
        "db",
        "tasks",
        "worker",
    }


def test_the_demo_of_the_wheel_works_elsewhere(wheel: Path, tmp_path: Path) -> None:
    """In a new environment and an empty directory, with migrations that come with it."""
    environment, elsewhere = tmp_path / "venv", tmp_path / "elsewhere"
    elsewhere.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (site,) = environment.glob("lib/python3*/site-packages")
    python = str(environment / "bin" / "python")
    pip = ["-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([sys.executable, *pip, str(wheel)], check=True)
    # What it requires is that of these tests; a path in a .pth file has no .pth files of its own,
    # so the checkout, which is installed as editable, is not found.
    (requirements,) = {path for path in sys.path if path.endswith("site-packages")}
    (site / "requirements.pth").write_text(requirements)

    def run(*command: str) -> str:
        done = subprocess.run(
            command,
            cwd=elsewhere,
            env={"PATH": f"{environment}/bin:/usr/bin:/bin", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    where = "import db, tasks, worker; print(db.__file__, tasks.__file__, worker.__file__)"
    assert all(path.startswith(str(site)) for path in run(python, "-c", where).split())
    output = run("template-service", "demo")
    assert "template_not_found" in output or "variables_invalid" in output
    assert output.endswith("Stopped; nothing is left running.\n")
    heads = run(python, "-m", "alembic", "-c", str(site / "db" / "alembic.ini"), "heads")
    assert "(head)" in heads
    assert [each.name for each in elsewhere.iterdir()] == [".local"]
    left = [each for each in psutil.process_iter(["cwd"]) if str(tmp_path) in str(each.info["cwd"])]
    assert left == []
