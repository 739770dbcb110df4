"""State of a folder for each service: the templates as of the last pull or push.

It lies in the folder, hidden, and is of one checkout: git ignores it. Without it a folder has never
pulled, and a push publishes nothing over what others may have published.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from db.addresses import without_credentials
from worker.authoring.files import write
from worker.authoring.layout import STATE

_FILE = "state.json"


class Base(NamedTuple):
    """A template as the service had it at the last pull or push.

    ``local`` is the digest of the folder then, which differs where variables are inferred.
    """

    version: str | None
    digest: str
    local: str


class State:
    """The templates that a folder has pulled from one service, or pushed to it.

    Parameters
    ----------
    root
        The folder.
    service
        Its broker's addresses; only a checksum of them, without user and password, is stored.
    """

    def __init__(self, root: Path, service: str) -> None:
        self._root = root
        self._path = root / STATE / _FILE
        place = without_credentials(service)
        self._key = hashlib.sha256(place.encode()).hexdigest()[:16]
        self._bases = {name: Base(**base) for name, base in self._read().get(self._key, {}).items()}

    def get(self, template_id: str) -> Base | None:
        """Return a template as it was at the last pull or push, None if there was none."""
        return self._bases.get(template_id)

    def set(self, template_id: str, base: Base | None) -> None:
        """Record a template as the service has it now; None removes the record."""
        if base is None:
            self._bases.pop(template_id, None)
        else:
            self._bases[template_id] = base

    def save(self) -> None:
        """Write the state."""
        content = self._read()
        content[self._key] = {name: base._asdict() for name, base in sorted(self._bases.items())}
        ignore = self._path.with_name(".gitignore")
        if not ignore.exists():
            write(self._root, ignore, b"*\n")
        write(self._root, self._path, f"{json.dumps(content, indent=1)}\n".encode())

    def _read(self) -> dict[str, Mapping[str, Any]]:
        """Return the file's contents; a damaged file counts as none: nothing is overwritten."""
        try:
            content = json.loads(self._path.read_bytes())
            for bases in content.values():
                for base in bases.values():
                    Base(**base)
        except (OSError, ValueError, TypeError, AttributeError):
            return {}
        return dict(content)
