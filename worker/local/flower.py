"""Flower's arguments, password and health check; the stack runs its process."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

from db.cluster.processes import write_private
from worker.local.http import HttpServer
from worker.local.server import HOST

USER: Final = "flower"
BASIC_AUTH: Final = "FLOWER_BASIC_AUTH"
_FOR_OTHER_ADDRESSES: Final = frozenset(
    {"FLOWER_UNIX_SOCKET", "FLOWER_CERTFILE", "FLOWER_KEYFILE", "FLOWER_CA_CERTS"}
)
"""Settings that would make Flower listen elsewhere than at its port of 127.0.0.1."""


class Flower(HttpServer):
    """Flower on a port of 127.0.0.1, with a password that is made at the first start."""

    def __init__(self, port_file: Path) -> None:
        super().__init__(port_file)
        self._password_file = port_file.with_suffix(".password")

    @property
    def url(self) -> str:
        """Flower's address; of the last start if it does not run."""
        return super().url + self._prefix

    @property
    def url_with_password(self) -> str:
        """Flower's address with user and password, for a shell."""
        user, _, password = self._basic_auth().partition(":")
        return self.url.replace("://", f"://{quote(user, safe='')}:{quote(password, safe='')}@")

    @property
    def has_own_password(self) -> bool:
        """Whether user and password are made here, and not FLOWER_BASIC_AUTH's or FLOWER_AUTH's."""
        return not (os.environ.get(BASIC_AUTH) or os.environ.get("FLOWER_AUTH"))

    def arguments(self) -> list[str]:
        """Choose a port, the last start's if it is free; return Celery's arguments."""
        return ["flower", f"--address={HOST}", f"--port={self.choose_port()}"]

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """Return its environment: FLOWER_* is passed on, and there is a password."""
        passed = {
            name: value for name, value in inherited.items() if name not in _FOR_OTHER_ADDRESSES
        }
        return passed | ({BASIC_AUTH: self._basic_auth()} if self.has_own_password else {})

    def is_ready(self) -> bool:
        """Return whether it answers, within a second."""
        return self.answers(f"/{self._prefix}healthcheck")

    @property
    def _prefix(self) -> str:
        prefix = os.environ.get("FLOWER_URL_PREFIX", "").strip("/")
        return f"{prefix}/" if prefix else ""

    def _basic_auth(self) -> str:
        if not self.has_own_password:
            return os.environ.get(BASIC_AUTH, "").split(",")[0]
        if not self._password_file.exists():
            write_private(self._password_file, secrets.token_urlsafe(24))
        return f"{USER}:{self._password_file.read_text()}"
