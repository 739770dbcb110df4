"""Pull from a service into a folder: all or nothing, and what was edited stays."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from db.errors import OperationError
from tasks.rendering.texts import Sources
from tests.support.authors import Author, with_body
from tests.support.definitions import simple
from tests.support.service import Service, away
from worker.authoring import files, header, journal
from worker.authoring.plan import Action
from worker.authoring.pull import Pulled


def test_a_pull_and_a_push_change_nothing(ada: Author, service: Service) -> None:
    """Whatever the texts have."""
    odd = simple(
        own=Sources("\tHello {{ name }} \n", "\ufeff<p>\r\n{{ name }}</p>", text="{{ name }}\r"),
        metadata={"tags": ["a", None], "big": 2**70, "number": 1.5},
        translations={"de": Sources(None, "{{ name }}\n\n")},
    )
    service.publish(odd)
    assert ada.pull() == {"greeting": Pulled.ADDED}
    before = {path: path.read_bytes() for path in ada.root.rglob("*") if path.is_file()}
    assert ada.actions() == {"greeting": Action.UNCHANGED}
    assert ada.push() == []
    assert ada.pull() == {"greeting": Pulled.UNCHANGED}
    after = {path: path.read_bytes() for path in ada.root.rglob("*") if path.is_file()}
    assert after == before
    assert service.definition("greeting") == odd
    assert service.version("greeting") == "1"


def test_a_pull_keeps_what_was_edited(ada: Author, service: Service) -> None:
    """And a template that is gone is not brought back by a push without a word."""
    service.publish(simple())
    ada.pull()
    ada.edit(with_body("<p>Dear {{ name }}</p>"))
    assert ada.pull() == {"greeting": Pulled.KEPT}
    assert ada.pull(overwrite=True) == {"greeting": Pulled.CHANGED}
    del service.templates["greeting"]
    assert ada.actions() == {"greeting": Action.CONFLICT}
    assert ada.pull() == {"greeting": Pulled.GONE}


def test_an_interrupted_pull_leaves_no_half_of_a_template(
    ada: Author, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one begins anew."""
    service.publish(simple())

    def full(*_: object) -> None:
        raise OperationError("not_writable", "the disk is full", "free it")

    with monkeypatch.context() as patch:
        patch.setattr(header, "written", full)
        with pytest.raises(OperationError, match="full"):
            ada.pull()
    assert not (ada.root / "greeting").exists()
    assert ada.pull() == {"greeting": Pulled.ADDED}
    assert ada.actions() == {"greeting": Action.UNCHANGED}


def test_an_interrupted_pull_is_resumed(
    ada: Author, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is pulled then, but for files that their author has edited meanwhile."""
    service.publish(simple())
    service.publish(simple("other"))
    ada.pull()
    for name in ("greeting", "other"):
        changed = Sources("Dear {{ name }}", "<p>Changed {{ name }}</p>")
        service.publish(simple(name, own=changed, description="Changed"))
    written: list[Path] = []

    def full(root: Path, path: Path, data: bytes) -> None:
        if len(written) > 2:
            raise OperationError("not_writable", "the disk is full", "free it")
        written.append(path)
        files.write(root, path, data)

    with monkeypatch.context() as patch:
        patch.setattr(journal, "write", full)
        with pytest.raises(OperationError, match="full"):
            ada.pull()
    edited = ada.root / "other" / "body.html"
    edited.write_text("<p>Mine {{ name }}</p>")
    assert ada.pull() == {"greeting": Pulled.UNCHANGED, "other": Pulled.CONFLICT}
    assert edited.read_text() == "<p>Mine {{ name }}</p>"
    assert ada.pull(overwrite=True) == {"greeting": Pulled.UNCHANGED, "other": Pulled.CHANGED}
    assert edited.read_text() == "<p>Changed {{ name }}</p>"


def test_a_pull_writes_nothing_if_the_broker_disappears(ada: Author, service: Service) -> None:
    """All is fetched before anything is written."""
    service.publish(simple())

    def gone(task: str, keywords: Mapping[str, Any]) -> None:
        if keywords.get("content", True):
            away()

    service.before = gone
    with pytest.raises(OperationError, match="does not answer"):
        ada.pull()
    assert [*ada.root.iterdir()] == []
