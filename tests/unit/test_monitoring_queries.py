"""The files of queries: what keeps them usable."""

from pathlib import Path

import db.monitoring
from db.monitoring.reader import statement

FOLDER = Path(next(iter(db.monitoring.__path__)))
FILES = sorted((FOLDER / "sql").glob("*.sql"))


def test_each_file_holds_one_query() -> None:
    """It runs as it is, by psycopg or in psql, and changes nothing."""
    for file in FILES:
        assert statement(file.stem).startswith(("SELECT", "WITH")), file.name
        assert ";" not in statement(file.stem), file.name


def test_each_file_is_used() -> None:
    """By its name; one that nobody runs is not tested either."""
    worker = FOLDER.parents[1] / "worker"
    modules = [*FOLDER.rglob("*.py"), *worker.glob("cli/*.py"), *worker.glob("metrics/*.py")]
    code = "\n".join(module.read_text(encoding="utf-8") for module in modules)
    assert [file.stem for file in FILES if f'"{file.stem}"' not in code] == []
