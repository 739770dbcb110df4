"""The files of queries: what an operator who opens one finds, and what keeps them honest."""

from pathlib import Path

import pytest

import db.monitoring
from db.monitoring.reader import statement

FOLDER = Path(next(iter(db.monitoring.__path__)))
FILES = sorted((FOLDER / "sql").glob("*.sql"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_file_says_what_it_tells_and_where_that_is_written(file: Path) -> None:
    """A comment above one statement: what, and a page of PostgreSQL's documentation."""
    lines = file.read_text(encoding="utf-8").splitlines()
    comment = [line for line in lines if line.startswith("-- ")]
    assert lines[: len(comment)] == comment, "the comment stands above the statement"
    assert len(comment) >= 2
    assert comment[-1].startswith("-- https://www.postgresql.org/docs/current/")
    assert statement(file.stem).startswith(("SELECT", "WITH"))
    assert ";" not in statement(file.stem)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_file_is_used(file: Path) -> None:
    """By its name; one that nobody runs is not tested either."""
    modules = [*FOLDER.rglob("*.py"), *(FOLDER.parents[1] / "worker" / "cli").glob("*.py")]
    assert any(f'"{file.stem}"' in module.read_text(encoding="utf-8") for module in modules)
