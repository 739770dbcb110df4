"""Two authors, each with a folder, and the service that they share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.rendering.client import Renderer
from tests.support.authors import Author
from tests.support.definitions import LIMITS
from tests.support.service import Service


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    """Yield a renderer for the checks."""
    with Renderer(LIMITS) as renderer:
        yield renderer


@pytest.fixture
def service() -> Service:
    """Return a service without templates."""
    return Service()


@pytest.fixture
def ada(tmp_path: Path, service: Service, renderer: Renderer) -> Author:
    """Return an author."""
    return Author(tmp_path / "ada", service, renderer)


@pytest.fixture
def grace(tmp_path: Path, service: Service, renderer: Renderer) -> Author:
    """Return another author."""
    return Author(tmp_path / "grace", service, renderer)
