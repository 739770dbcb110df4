"""CONTRIBUTING.md names what there is."""

import re
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "document", ["CONTRIBUTING.md", "docs/architecture.md", "docs/glossary.md"]
)
def test_the_files_that_a_document_names_exist(checkout: Path, document: str) -> None:
    """In backticks with a slash, or as a link."""
    text = (checkout / document).read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:worker|tasks|db|docs|tests|alembic)/[\w./-]*)`", text))
    folder = (checkout / document).parent
    missing = {name for name in named if not (checkout / name).exists()}
    links = set(re.findall(r"\]\((?!https?:)([^)#]+)", text))
    missing |= {link for link in links if not (folder / link).exists()}
    assert missing == set()


def test_the_make_targets_that_contributing_names_exist(checkout: Path) -> None:
    """Each `make ...` is a target of the Makefile."""
    text = (checkout / "CONTRIBUTING.md").read_text(encoding="utf-8")
    targets = re.findall(
        r"^([\w./-]+|\$\(VENV\)/\.dev):", (checkout / "Makefile").read_text(), re.MULTILINE
    )
    named = re.findall(r"^make ([\w./-]+)", text, re.MULTILINE)
    assert {name.replace(".venv", "$(VENV)") for name in named} <= set(targets)
