"""Directories of the service that do not depend on where a command is started."""

import os
from pathlib import Path
from typing import Final

DIRECTORY_VARIABLE: Final = "TEMPLATE_SERVICE_LOCAL_DIR"
# https://refspecs.linuxfoundation.org/FHS_3.0/fhs/ch05s08.html
INSTALLED: Final = Path("/var/lib/template-service")
"""Directory of the service's files where it is installed without a checkout."""


def code_directory() -> Path:
    """Return the directory that has the packages: a checkout's root, or site-packages."""
    return Path(__file__).resolve().parents[1]


def local_directory() -> Path:
    """Return the directory of the local stack: ``TEMPLATE_SERVICE_LOCAL_DIR``, or ``.local``.

    That is in the checkout, or where the command is run if it was installed as a wheel.
    """
    configured = os.environ.get(DIRECTORY_VARIABLE)
    if configured:
        return Path(configured).absolute()
    return (code_directory() if _is_checkout() else Path.cwd()) / ".local"


def service_path(path: Path | str) -> Path:
    """Return the absolute path of a file of the service.

    A relative path is one below :func:`local_directory`, or without a checkout below
    :data:`INSTALLED`: an operator's shell, a worker and beat find the same files.
    """
    if os.environ.get(DIRECTORY_VARIABLE) or _is_checkout():
        return local_directory() / path
    return INSTALLED / path


def _is_checkout() -> bool:
    return (code_directory() / "alembic.ini").exists()
