"""Directories of the service that do not depend on where a command is started."""

import os
from pathlib import Path
from typing import Final

from db.errors import OperationError

DIRECTORY_VARIABLE: Final = "TEMPLATE_SERVICE_LOCAL_DIR"
# https://refspecs.linuxfoundation.org/FHS_3.0/fhs/ch05s08.html
INSTALLED: Final = Path("/var/lib/template-service")
"""Directory of the service's files where it is installed without a checkout."""


def checkout() -> Path:
    """Return the root of the checkout that this code is part of.

    Raises OperationError: ``no_checkout``: it was installed without one.
    """
    root = _root()
    if not _is_checkout(root):
        raise OperationError(
            "no_checkout",
            f"{root} is not a checkout of this project: alembic.ini is missing",
            "run this in a checkout",
        )
    return root


def local_directory() -> Path:
    """Return the directory of the local stack: ``TEMPLATE_SERVICE_LOCAL_DIR``, or ``.local``."""
    configured = os.environ.get(DIRECTORY_VARIABLE)
    return Path(configured).absolute() if configured else checkout() / ".local"


def service_path(path: Path | str) -> Path:
    """Return the absolute path of a file of the service.

    A relative path is one below :func:`local_directory`, or without a checkout below
    :data:`INSTALLED`: an operator's shell, a worker and beat find the same files.
    """
    if os.environ.get(DIRECTORY_VARIABLE) or _is_checkout(_root()):
        return local_directory() / path
    return INSTALLED / path


def _root() -> Path:
    return Path(__file__).resolve().parents[1]


def _is_checkout(root: Path) -> bool:
    return (root / "alembic.ini").exists()
