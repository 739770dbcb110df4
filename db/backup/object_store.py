"""Object storage as a store of backup files, with the optional library obstore.

Endpoint, region and credentials come from the environment variables that every S3 client reads:
``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_REGION``, ``AWS_ENDPOINT_URL``, and
``AWS_ALLOW_HTTP=true`` for a server without TLS
(https://developmentseed.org/obstore/latest/api/store/aws/).
"""

import os
import re
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from db.backup.store import CHECK_TARGET, CHUNK, Chunks, file_exists, missing_file, unreadable
from db.cluster.owned import OwnedDirectory
from db.errors import Kind, OperationError

try:
    import obstore
    from obstore.exceptions import AlreadyExistsError, BaseError
    from obstore.store import from_url
except ModuleNotFoundError:
    raise OperationError(
        Kind.EXTRA_MISSING,
        "the library for object storage is not installed",
        "pip install 'template-service[object-storage]'",
    ) from None

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ClientConfig, S3Config, S3Store

# For one request, which when a dump is read is all of it.
_TIMEOUT: Final = timedelta(hours=2)
_READ_TIMEOUT: Final = timedelta(seconds=60)
_CONNECT: Final = timedelta(seconds=10)
_RETRIES: Final = 3
_RETRY: Final = timedelta(seconds=30)
# S3 accepts up to 10,000 parts of an object, of at least 5 MiB each:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
_PART: Final = 8 * 1024 * 1024
_PARTS: Final = 9_000
_REPORTED: Final = re.compile(r"<Code>(\w+)</Code>\s*<Message>([^<]*)</Message>")


Listed = tuple[str, int, datetime]
"""Key of an object below the store's prefix, its size in bytes, and when it was written."""


class ObjectStore:
    """A prefix of a bucket.

    Parameters
    ----------
    target
        ``s3://bucket/prefix``.
    scratch
        Directory for dumps until they are uploaded; empty for the system's.
    variables
        ``AWS_*`` variables that count before the environment's, which obstore reads itself.
    """

    def __init__(
        self, target: str, scratch: str, variables: Mapping[str, str] | None = None
    ) -> None:
        self._target = target
        self._scratch = scratch
        self._workspace: Path | None = None
        given = os.environ if variables is None else variables
        options: ClientConfig = {
            "timeout": _TIMEOUT,
            "read_timeout": _READ_TIMEOUT,
            "connect_timeout": _CONNECT,
            # With client_options obstore ignores this variable.
            "allow_http": given.get("AWS_ALLOW_HTTP", "").lower() in {"true", "1"},
        }
        config = {
            name.lower(): value
            for name, value in (variables or {}).items()
            if name.startswith("AWS_") and name != "AWS_ALLOW_HTTP"
        }
        with self._explained():
            self._store = cast(
                "S3Store",
                from_url(
                    target,
                    config=cast("S3Config", config),
                    client_options=options,
                    retry_config={"max_retries": _RETRIES, "retry_timeout": _RETRY},
                ),
            )

    @property
    def target(self) -> str:
        """The URL."""
        return self._target

    def names(self) -> dict[str, int]:
        """Return the objects under the prefix, without deeper levels."""
        with self._explained(reading=True):
            found = obstore.list_with_delimiter(self._store)["objects"]
        return {Path(item["path"]).name: item["size"] for item in found}

    def below(self, prefix: str) -> tuple[list[Listed], list[str]]:
        """Return the objects and the prefixes one level below a prefix."""
        with self._explained(reading=True):
            found = obstore.list_with_delimiter(self._store, prefix or None)
        return [_listed(item) for item in found["objects"]], list(found["common_prefixes"])

    def starting_with(self, prefix: str, beginning: str) -> Iterator[Listed]:
        """Yield the objects below a prefix whose names have a beginning, in order."""
        whole = f"{prefix}/{beginning}".lstrip("/")
        with self._explained(reading=True):
            # A prefix ends with a slash. An offset is excluded itself: it is a little before.
            for page in obstore.list(self._store, prefix or None, offset=whole[:-1]):
                for item in page:
                    if item["path"].startswith(whole):
                        yield _listed(item)
                    elif item["path"] > whole:
                        return

    def status(self, name: str) -> tuple[int, datetime] | None:
        """Return size and time of an object; ``None`` if it does not exist."""
        try:
            with self._explained(reading=True):
                found = obstore.head(self._store, name)
        except FileNotFoundError:
            return None
        return found["size"], found["last_modified"]

    def open(self, name: str) -> BinaryIO:
        """Stream the object; no more than a few MiB are in memory."""
        try:
            with self._explained(reading=True):
                response = obstore.get(self._store, name)
        except FileNotFoundError:
            raise missing_file(name, self.target) from None
        return Chunks(self._chunks(response.stream(min_chunk_size=CHUNK)))

    def put(self, path: Path, name: str) -> None:
        """Upload a file; an upload is atomic."""
        size = path.stat().st_size
        if size <= _PART:
            self._create(name, path.read_bytes())
        else:
            # Parts cannot be uploaded on a condition: an empty object reserves the name.
            self._create(name, b"")
            try:
                with self._explained():
                    part = max(_PART, -(-size // _PARTS))
                    obstore.put(self._store, name, path, chunk_size=part)
            except BaseException:
                with suppress(OperationError):  # the first error is the one to report
                    self.delete(name)
                raise
        path.unlink()

    def write(self, name: str, content: bytes, *, is_new: bool = False) -> None:
        """Put a small object."""
        if is_new:
            self._create(name, content)
            return
        with self._explained():
            obstore.put(self._store, name, content)

    def delete(self, name: str) -> None:
        """Delete the object."""
        with self._explained():
            obstore.delete(self._store, name)

    def workspace(self) -> Path:
        """Return a private temporary directory, which is removed with this object."""
        if self._workspace is None:
            try:
                owned = OwnedDirectory("upload", Path(self._scratch) if self._scratch else None)
            except OSError as error:
                raise OperationError(
                    "scratch_unwritable",
                    f"no temporary directory can be created: {error.strerror}",
                    "set TEMPLATE_SERVICE_SCRATCH_DIRECTORY to a directory with space for the "
                    "database",
                ) from None
            self._workspace = owned.path
            weakref.finalize(self, owned.remove)
        return self._workspace

    def free(self) -> int | None:
        """Return ``None``: it is not limited."""
        return None

    def leftovers(self, before: datetime) -> list[str]:  # noqa: ARG002 - of the protocol
        """Return nothing: an interrupted upload leaves no object."""
        return []

    def _create(self, name: str, content: bytes) -> None:
        """Put a small object unless the name is in use (raises ``file_exists``)."""
        with self._explained():
            try:
                obstore.put(self._store, name, content, mode="create")
            except AlreadyExistsError:
                raise file_exists(name, self.target) from None
            except BaseError as error:
                if "NotImplemented" not in str(error):
                    raise
                self._require_absent(name)
                obstore.put(self._store, name, content)

    def _require_absent(self, name: str) -> None:
        # For servers without If-None-Match. Names are random: this finds a copied backup.
        with suppress(FileNotFoundError), self._explained(reading=True):
            obstore.head(self._store, name)
            raise file_exists(name, self.target)

    def _chunks(self, stream: Iterator[bytes]) -> Iterator[bytes]:
        with self._explained(reading=True):
            yield from stream

    @contextmanager
    def _explained(self, *, reading: bool = False) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if reading and "NoSuchBucket" not in str(error):
                raise
            raise self._error(error, reading=reading) from None
        except (BaseError, PermissionError) as error:
            raise self._error(error, reading=reading) from None

    def _error(self, error: Exception, *, reading: bool) -> OperationError:
        # The rest of the library's message is its internal state, many lines long.
        found = _REPORTED.search(str(error))
        reported = f"{found[1]}: {found[2]}" if found else str(error).splitlines()[0][:300]
        if reading:
            return unreadable(self.target, reported)
        return OperationError(
            Kind.TARGET_UNWRITABLE,
            f"{self.target} cannot be written to: {reported}",
            f"{CHECK_TARGET}; and the AWS_* variables",
        )


def _listed(item: "ObjectMeta") -> Listed:
    return item["path"], item["size"], item["last_modified"]
