"""Copies the migrations into the wheel; everything else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithMigrations(build_py):
    """Copies ``alembic.ini`` and ``alembic/`` next to what reads them, :mod:`db.migrations`.

    In a checkout they are in its root, where alembic's command looks for them.
    """

    def run(self) -> None:
        """Copy the packages, then the migrations."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib, "db")
        shutil.copyfile("alembic.ini", target / "alembic.ini")
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree("alembic", target / "alembic", ignore=ignored, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithMigrations})
