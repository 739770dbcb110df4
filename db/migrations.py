"""The migrations of this checkout or wheel, without alembic's command line.

Their order is read from the text of the scripts: Alembic and SQLAlchemy, which most commands need
for nothing else, take longer to import than everything else of a restore.
"""

import re
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parent
_IN_WHEEL: Final = _PACKAGE / "alembic"  # see setup.py
SCRIPTS: Final = _IN_WHEEL if _IN_WHEEL.exists() else _PACKAGE.parent / "alembic"
_REVISION: Final = re.compile(r'^revision = "(.+)"$', re.MULTILINE)
_DOWN_REVISION: Final = re.compile(r'^down_revision = "(.+)"$', re.MULTILINE)

# alembic.context is global: without the lock, two threads could migrate each other's database.
_one_at_a_time = Lock()


def head() -> str:
    """Return the revision of the newest migration."""
    return _revisions()[-1]


def is_known(revision: str) -> bool:
    """Return whether this checkout has the migration."""
    return revision in _revisions()


def is_before(revision: str, other: str) -> bool:
    """Return whether a known revision comes before another known one."""
    return _revisions().index(revision) < _revisions().index(other)


def upgrade(url: str, revision: str = "head") -> None:
    """Upgrade a database, which may be empty, to a revision of this checkout."""
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.config import Config  # noqa: PLC0415

    # Without alembic.ini: its [loggers] would replace the worker's.
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["database_url"] = url
    with _one_at_a_time:
        command.upgrade(config, revision)


@lru_cache(maxsize=1)
def _revisions() -> list[str]:
    """Return all revisions, the oldest first."""
    texts = [path.read_text() for path in (SCRIPTS / "versions").glob("*.py")]
    # The first one is after none.
    after = {
        down[1] if (down := _DOWN_REVISION.search(text)) else "": revision[1]
        for text in texts
        if (revision := _REVISION.search(text))
    }
    found = [after[""]]
    while found[-1] in after:
        found.append(after[found[-1]])
    return found
