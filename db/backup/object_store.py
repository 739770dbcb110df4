"""Dumps in object storage, over the optional library obstore.

Endpoint, region and credentials come from the environment variables that every S3 client reads:
``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_REGION``, ``AWS_ENDPOINT_URL``, and
``AWS_ALLOW_HTTP=true`` for a server without TLS
(https://developmentseed.org/obstore/latest/api/store/aws/).
"""

import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from db.backup.chunks import CHUNK, Chunks
from db.backup.store import missing_file, unreadable
from db.errors import OperationError

try:
    import obstore
    from obstore.exceptions import BaseError
    from obstore.store import from_url
except ModuleNotFoundError:
    raise OperationError(
        "extra_missing",
        "the library for object storage is not installed",
        "pip install 'template-service[object-storage]'",
    ) from None

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Store

# The whole of one request, which is the whole of a dump when it is read.
_TIMEOUT: Final = timedelta(hours=2)
_SILENCE: Final = timedelta(seconds=60)
_CONNECT: Final = timedelta(seconds=10)
_RETRIES: Final = 3
_RETRY: Final = timedelta(seconds=30)
# S3 takes 10,000 parts of one object and none below 5 MiB:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
_PART: Final = 8 * 1024 * 1024
_PARTS: Final = 9_000
_TOLD: Final = re.compile(r"<Code>(\w+)</Code>\s*<Message>([^<]*)</Message>")


class ObjectStore:
    """A prefix of a bucket.

    Parameters
    ----------
    target
        ``s3://bucket/prefix``.
    scratch
        Folder for dumps until they are uploaded; empty for the system's.
    """

    def __init__(self, target: str, scratch: str) -> None:
        self._target = target
        self._scratch = scratch
        self._workspace: Path | None = None
        options: ClientConfig = {
            "timeout": _TIMEOUT,
            "read_timeout": _SILENCE,
            "connect_timeout": _CONNECT,
            # Options given here are all that count, and so it has to be carried over.
            "allow_http": os.environ.get("AWS_ALLOW_HTTP", "").lower() in {"true", "1"},
        }
        with self._explained():
            self._store = cast(
                "S3Store",
                from_url(
                    target,
                    client_options=options,
                    retry_config={"max_retries": _RETRIES, "retry_timeout": _RETRY},
                ),
            )

    @property
    def target(self) -> str:
        """The URL."""
        return self._target

    def names(self) -> dict[str, int]:
        """Return the objects under the prefix, none of deeper levels."""
        with self._explained(reading=True):
            found = obstore.list_with_delimiter(self._store)["objects"]
        return {Path(item["path"]).name: item["size"] for item in found}

    def open(self, name: str) -> BinaryIO:
        """Return the object's bytes as they come; no more than a few MiB are held."""
        try:
            with self._explained(reading=True):
                answer = obstore.get(self._store, name)
        except FileNotFoundError:
            raise missing_file(name, self.target) from None
        return Chunks(self._pieces(answer.stream(min_chunk_size=CHUNK)))

    def put(self, path: Path, name: str) -> None:
        """Upload it; an object appears whole or not at all."""
        part = max(_PART, -(-path.stat().st_size // _PARTS))
        with self._explained():
            obstore.put(self._store, name, path, chunk_size=part)
        path.unlink()

    def write(self, name: str, content: bytes) -> None:
        """Put a small object."""
        with self._explained():
            obstore.put(self._store, name, content)

    def delete(self, name: str) -> None:
        """Delete the object."""
        with self._explained():
            obstore.delete(self._store, name)

    def workspace(self) -> Path:
        """Return a folder of this process, which goes with this object."""
        if self._workspace is None:
            try:
                made = tempfile.mkdtemp(prefix="template-service-", dir=self._scratch or None)
            except OSError as error:
                raise OperationError(
                    "scratch_unwritable",
                    f"no folder for files under way can be made: {error.strerror}",
                    "set TEMPLATE_SERVICE_SCRATCH_DIRECTORY to a folder with room for the database",
                ) from None
            self._workspace = Path(made)
            weakref.finalize(self, shutil.rmtree, made, ignore_errors=True)
        return self._workspace

    def leftovers(self, before: datetime) -> list[str]:  # noqa: ARG002 - of the protocol
        """Return nothing: an upload that was cut off leaves no object."""
        return []

    def _pieces(self, stream: Iterator[bytes]) -> Iterator[bytes]:
        with self._explained(reading=True):
            yield from stream

    @contextmanager
    def _explained(self, *, reading: bool = False) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if reading and "NoSuchBucket" not in str(error):
                raise
            raise self._refused(error, reading=reading) from None
        except (BaseError, PermissionError) as error:
            raise self._refused(error, reading=reading) from None

    def _refused(self, error: Exception, *, reading: bool) -> OperationError:
        # The rest of what the library says is its own inner state, many lines long.
        found = _TOLD.search(str(error))
        told = f"{found[1]}: {found[2]}" if found else str(error).splitlines()[0][:300]
        if reading:
            return unreadable(self.target, told)
        return OperationError(
            "target_unwritable",
            f"{self.target} cannot be written to: {told}",
            "check TEMPLATE_SERVICE_BACKUP_TARGET and the AWS_* variables of the environment",
        )
