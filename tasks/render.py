"""``render.*``: the tasks that finish texts."""

from tasks.base import Work, single
from tasks.messages.render import Rendered, RenderOne
from tasks.services import rendering


@single("render.one", RenderOne)
def one(message: RenderOne, work: Work) -> Rendered:
    """Render one template for one recipient."""
    return rendering.render(message, work)
