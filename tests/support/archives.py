"""Backups that are not what they say, with seals that fit them all the same."""

import hashlib
from collections.abc import Callable
from gzip import compress, decompress
from pathlib import Path

from db.backup.catalogue import Catalogue, Entry, StoredFile
from db.zstd import zstd


def plain(catalogue: Catalogue, stored: StoredFile) -> bytes:
    """Return what pg_dump printed."""
    content = (Path(catalogue.store.target) / stored.name).read_bytes()
    return zstd.decompress(content) if stored.name.endswith(".zst") else decompress(content)


def resealed(
    catalogue: Catalogue, entry: Entry, change: Callable[[bytes], bytes], part: str = "dump"
) -> Entry:
    """Change what is in a file of a backup, with size and checksum in the catalogue to fit."""
    files = []
    for stored in entry.files:
        if stored.part != part:
            files.append(stored)
            continue
        changed = change(plain(catalogue, stored))
        content = zstd.compress(changed) if stored.name.endswith(".zst") else compress(changed)
        (Path(catalogue.store.target) / stored.name).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        files.append(stored.model_copy(update={"size": len(content), "sha256": digest}))
    sealed = entry.model_copy(update={"files": tuple(files)})
    catalogue.add(sealed)
    return sealed
