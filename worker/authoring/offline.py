"""Checks of a folder on this machine: with the settings of the environment, and no server."""

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from db.errors import OperationError
from tasks.messages.fields import canonical_language
from tasks.rendering.client import Renderer
from tasks.rendering.limits import Limits
from worker.authoring.check import THREADS, Checked, Checker
from worker.authoring.reading import read_folder
from worker.authoring.settings import author_settings


def started(limits: Limits, processes: int) -> Renderer:
    """Return a renderer whose processes have started, all at once: each imports the engine."""
    renderer = Renderer(limits)
    with ThreadPoolExecutor(max(1, processes)) as pool:
        list(pool.map(lambda _: renderer.start(), range(processes)))
    return renderer


def language_list(text: str) -> list[str]:
    """Return the canonical tags in a list with commas.

    Raises
    ------
    OperationError
        One of them is not a language.
    """
    try:
        return [canonical_language(each.strip()) for each in text.split(",") if each.strip()]
    except ValueError as error:
        raise OperationError("language", f"--languages {text}: {error}", "write de,pt-BR") from None


def checked_folder(
    root: Path, ids: Sequence[str] = (), *, languages: Collection[str] = (), update: bool = False
) -> tuple[Checked, int]:
    """Check templates of a folder, all or those named; return the findings, and how many there are.

    Raises
    ------
    OperationError
        There is no template with one of the ids.
    """
    limits, default_language = author_settings()
    folder = read_folder(root, limits)
    folder.require(ids)
    with started(limits, min(THREADS, len(ids or folder.templates))) as renderer:
        checker = Checker(folder, renderer, default_language)
        checked = checker.check(ids or None, languages=languages, update=update)
    return checked, len(ids or folder.templates)
