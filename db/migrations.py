"""The migrations of this checkout or wheel, without alembic's command line."""

from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

_PACKAGE: Final = Path(__file__).resolve().parent
_IN_WHEEL: Final = _PACKAGE / "alembic"  # see setup.py
SCRIPTS: Final = _IN_WHEEL if _IN_WHEEL.exists() else _PACKAGE.parent / "alembic"

# alembic.context is global: without the lock, two threads could migrate each other's database.
_one_at_a_time = Lock()


def head() -> str:
    """Return the revision of the newest migration."""
    return str(_scripts().get_current_head())


def is_known(revision: str) -> bool:
    """Tell whether this checkout has the migration."""
    return revision in {script.revision for script in _scripts().walk_revisions()}


def is_before(revision: str, other: str) -> bool:
    """Tell whether a known revision comes before another known one."""
    if revision == other:
        return False
    below = _scripts().iterate_revisions(other, "base")
    return revision in {script.revision for script in below}


def upgrade(url: str, revision: str = "head") -> None:
    """Upgrade a database, which may be empty, to a revision of this checkout."""
    # Without alembic.ini: its [loggers] would replace those of the worker.
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["database_url"] = url
    with _one_at_a_time:
        command.upgrade(config, revision)


@lru_cache(maxsize=1)
def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(SCRIPTS))
