"""Pull: from the service to a folder, without a change of the author's being lost."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from db.errors import Kind, OperationError
from tasks.rendering.limits import Limits
from worker.authoring import journal, writing
from worker.authoring import service as remotes
from worker.authoring.folder import Folder, FolderTemplate
from worker.authoring.reading import read_template
from worker.authoring.service import Caller, Remote
from worker.authoring.state import Base, State

_LARGEST: Final = 2**62


class Pulled(StrEnum):
    """Action of a pull on a template."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    CONFLICT = "conflict"
    NO_VERSION = "no_version"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class PullStep:
    """Result of a pull for one template; ``reason`` says why it was not written."""

    template_id: str
    action: Pulled
    version: str | None
    files: list[str]
    reason: str = ""


class Pull:
    """Writes templates of the service into a folder.

    Parameters
    ----------
    folder
        The folder, as it was read.
    service
        Where from.
    state
        What the folder has pulled before.
    """

    def __init__(self, folder: Folder, service: Caller, state: State) -> None:
        self._folder = folder
        self._service = service
        self._state = state
        self._local = folder.by_id()

    def run(
        self, ids: Collection[str] | None, *, overwrite: bool = False, dry_run: bool = False
    ) -> Iterator[PullStep]:
        """Pull all or the named templates; yield the action for each.

        Parameters
        ----------
        ids
            None pulls all.
        overwrite
            Take the service's state where both have changed.
        dry_run
            Write nothing.
        """
        known = remotes.digests(self._service)
        names = sorted(known) if ids is None else sorted(ids)
        missing = [name for name in names if name not in known]
        if missing:
            raise OperationError(
                Kind.UNKNOWN,
                f"the service has no template {', '.join(missing)}",
                "template-service templates list shows the existing ones",
            )
        decided = {name: self._decide(known[name], overwrite=overwrite) for name in names}
        wanted = [name for name, step in decided.items() if _is_write(step)]
        for name, step in decided.items():
            if not _is_write(step):
                if step.action is Pulled.UNCHANGED:
                    self._note(known[name])
                yield step
        # All or nothing: everything is fetched before anything is written.
        fetched = list(remotes.contents(self._service, wanted)) if wanted else []
        steps: list[PullStep] = []
        files: dict[Path, bytes | None] = {}
        for remote in fetched:
            step, changed = self._changes(remote, decided[remote.template_id])
            steps.append(step)
            files |= changed
        if not dry_run:
            journal.make(self._folder.root, files)
            for remote, step in zip(fetched, steps, strict=True):
                if _is_write(step):
                    self._require_written(remote)
                    self._note(remote)
            self._state.save()
        yield from steps
        yield from self._gone(known, ids)

    def _decide(self, remote: Remote, *, overwrite: bool) -> PullStep:
        name, version = remote.template_id, remote.version
        local, base = self._local.get(name), self._state.get(name)
        if version is None:
            return PullStep(name, Pulled.NO_VERSION, None, [], "has no version yet")
        if local is None:
            return PullStep(name, Pulled.ADDED, version, [])
        digest = None if local.definition is None else local.definition.digest()
        is_pulled = base is not None and base.digest == remote.digest
        is_kept = base is not None and base.local == digest
        if digest == remote.digest or (is_pulled and is_kept):
            return PullStep(name, Pulled.UNCHANGED, version, [])
        if is_kept or overwrite:
            return PullStep(name, Pulled.CHANGED, version, [])
        if is_pulled:
            reason = "changed in the folder since it was pulled"
            return PullStep(name, Pulled.KEPT, version, [], reason)
        reason = f"differs from version '{version}' on the service: pass --overwrite to take that"
        if base is not None:
            reason = f"changed in the folder, and on the service from version '{base.version}' to "
            reason += f"'{version}': pass --overwrite to take that"
        return PullStep(name, Pulled.CONFLICT, version, [], reason)

    def _changes(self, remote: Remote, step: PullStep) -> tuple[PullStep, journal.Changes]:
        """Return a step with its files, and their contents."""
        name, folder = remote.template_id, self._place(remote)
        if remote.definition is None:
            return step, {}
        if name not in self._local and (folder.exists() or folder.is_symlink()):
            reason = f"{folder} exists, and is not the folder of this template"
            return PullStep(name, Pulled.CONFLICT, remote.version, [], reason), {}
        changed = writing.changes(folder, remote.definition)
        files = sorted(path.relative_to(folder).as_posix() for path in changed)
        return PullStep(name, step.action, remote.version, files), changed

    def _place(self, remote: Remote) -> Path:
        local = self._local.get(remote.template_id)
        return self._folder.root / (remote.template_id if local is None else local.path)

    def _require_written(self, remote: Remote) -> None:
        folder = self._place(remote)
        written = _read_again(self._folder.root, folder)
        if written.definition is None or written.definition.digest() != remote.digest:
            raise OperationError(
                "not_the_same",
                f"{folder} does not hold what version '{remote.version}' of '{remote.template_id}' "
                "has",
                "report this as a defect; the service is unchanged",
            )

    def _gone(self, known: Collection[str], ids: Collection[str] | None) -> Iterator[PullStep]:
        """Yield the templates of the folder that the service has had and has no more."""
        for name in sorted(self._local.keys() - {*known}) if ids is None else ():
            if self._state.get(name) is not None:
                reason = "was deleted on the service: delete the folder, or bring it back with "
                reason += "template-service templates restore"
                yield PullStep(name, Pulled.GONE, None, [], reason)

    def _note(self, remote: Remote) -> None:
        local = self._local.get(remote.template_id)
        digest = remote.digest
        if local is not None and local.definition is not None:
            digest = local.definition.digest()
        if remote.definition is not None:
            digest = remote.digest
        self._state.set(remote.template_id, Base(remote.version, remote.digest, digest))


def _is_write(step: PullStep) -> bool:
    return step.action in {Pulled.ADDED, Pulled.CHANGED}


def _read_again(root: Path, folder: Path) -> FolderTemplate:
    # What the service has stored may be larger than the limits of this machine's settings.
    limits = Limits(
        body_bytes=_LARGEST, subject_bytes=_LARGEST, variables_bytes=_LARGEST, translations=_LARGEST
    )
    return read_template(root, folder, limits)
