"""Types of settings that need checks: URLs, addresses, patterns and cron schedules."""

import re
from datetime import UTC, datetime
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

from db.addresses import connection_options
from tasks.jobs import JOBS

_DATABASE_SCHEMES: Final = ("postgresql", "postgres", "postgresql+psycopg")
_BROKER_SCHEMES: Final = ("redis", "rediss", "sentinel", "amqp", "amqps")
RESULT_SCHEMES: Final = ("redis", "rediss", "sentinel")
_ADDRESS: Final = re.compile(
    r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<host>[^\s:\[\]/]*)):(?P<port>\d{1,5})"
)
_HIGHEST_PORT: Final = 65_535
_DEFAULT_CRONS: Final = {job.cron for job in JOBS}


def host_and_port(text: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``; an empty host means all of the machine's.

    Raises
    ------
    ValueError
        The text is not of this form.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > _HIGHEST_PORT:
        raise ValueError("expected HOST:PORT, such as 127.0.0.1:9808, or :9808 for every host")
    return match["six"] or match["host"] or "", int(match["port"])


def _address(text: str) -> str:
    if text:
        host_and_port(text)
    return text


def _cron(text: str) -> str:
    if text in _DEFAULT_CRONS:  # for operators, who need no Celery
        return text
    from celery.schedules import ParseException, crontab  # noqa: PLC0415 - as above

    try:
        # It never comes on the 30th of February.
        crontab.from_string(text).remaining_delta(datetime.now(UTC))
    except (ParseException, ValueError, RuntimeError) as error:
        raise ValueError(f"expected five cron fields, such as '0 2 * * *': {error}") from error
    return text


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"expected a regular expression: {error}") from error
    return text


def _database_url(secret: SecretStr) -> SecretStr:
    url = secret.get_secret_value()
    _require_url(url, _DATABASE_SCHEMES)
    connection_options(url)
    return secret


def _database_url_or_empty(secret: SecretStr) -> SecretStr:
    return _database_url(secret) if secret.get_secret_value() else secret


def _broker_url(secret: SecretStr) -> SecretStr:
    schemes = {_require_url(url, _BROKER_SCHEMES) for url in secret.get_secret_value().split(";")}
    if len(schemes) > 1:
        raise ValueError("expected URLs of one broker, with the same scheme")
    return secret


def _result_url(secret: SecretStr) -> SecretStr:
    _require_url(secret.get_secret_value(), RESULT_SCHEMES)
    return secret


def _require_url(url: str, schemes: tuple[str, ...]) -> str:
    """Return the scheme of a URL; the message of an error omits the URL, which has a password."""
    try:
        scheme = urlsplit(url).scheme
    except ValueError as error:
        raise ValueError("expected a URL") from error
    if scheme not in schemes:
        raise ValueError(f"expected a URL that begins with one of {', '.join(schemes)}")
    return scheme


DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
OptionalDatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url_or_empty)]
BrokerUrl = Annotated[SecretStr, AfterValidator(_broker_url)]
"""URLs of the nodes of one broker, separated by ``;``."""
ResultUrl = Annotated[SecretStr, AfterValidator(_result_url)]
Pattern = Annotated[str, AfterValidator(_pattern)]
"""A regular expression of :mod:`re`."""
Address = Annotated[str, AfterValidator(_address)]
"""``HOST:PORT``, or empty."""
Cron = Annotated[str, BeforeValidator(_cron)]
