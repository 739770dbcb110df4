"""Warnings of a publish when the render for them is stopped: they block nothing."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from tasks.errors import RenderLimitExceeded
from tasks.rendering.texts import Sources
from tasks.services.candidates import Candidates, Compiled
from tasks.services.partials import Library
from tasks.services.warnings import Adviser

if TYPE_CHECKING:
    from tasks.rendering.client import Renderer


class Stopped:
    """A renderer whose process ends whenever it renders a text for a warning."""

    def advise(
        self, sources: Sequence[Mapping[str, Any]], texts: Sequence[object], *_: object
    ) -> list[dict[str, Any]]:
        """Warn of each source, unless a text is to be rendered."""
        if texts:
            raise RenderLimitExceeded.at("", "limit", "the render was stopped")
        return [{"path": source["path"]} for source in sources]


def test_a_render_over_a_limit_costs_no_warning_of_a_source() -> None:
    """The sources are judged again without it, and the publish succeeds."""
    library = Library(None, [], "en")
    candidate = Candidates("sms", "en", library).own(Sources(None, "Hello", None, None), {})
    text = Compiled(candidate, {"body": []}, [])
    adviser = Adviser(cast("Renderer", Stopped()), library, deadline=0)
    assert adviser.texts([text], [text], []) == [{"path": "body"}]
