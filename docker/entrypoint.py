"""Put passwords from files into the addresses of the environment, and become the command.

``NAME_PASSWORD_FILE`` names a file with the password that belongs into the URL in ``NAME``, where
NAME is one of :data:`ADDRESSES`; to ``FLOWER_BASIC_AUTH``, which is a user, it is added. So no
password stands in a compose file, on a command line, or in what ``docker inspect`` shows.
"""  # noqa: INP001 - a script, in no package

import os
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

ADDRESSES = (
    "DATABASE_URL",
    "TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL",
    "CELERY_BROKER_URL",
    "CELERY_RESULT_BACKEND",
)
FLOWER = "FLOWER_BASIC_AUTH"
SUFFIX = "_PASSWORD_FILE"


def main(command: list[str]) -> None:
    """Become ``command``, found on the PATH, with the environment made whole."""
    for name in (*ADDRESSES, FLOWER):
        file = os.environ.pop(name + SUFFIX, None)
        if file is None:
            continue
        try:
            password = Path(file).read_text().strip()
        except OSError as error:
            sys.exit(f"{name}{SUFFIX}: {file} cannot be read: {error.strerror}")
        value = os.environ.get(name, "")
        is_user = name == FLOWER
        os.environ[name] = f"{value}:{password}" if is_user else with_password(value, password)
    os.execvp(command[0], command)  # noqa: S606 - becoming it is the purpose


def with_password(url: str, password: str) -> str:
    """Return ``url`` with ``password``, escaped as RFC 3986 says (section 3.2.1)."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))


if __name__ == "__main__":
    main(sys.argv[1:])
