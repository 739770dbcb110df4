"""``render.*``: the tasks that finish texts."""

from tasks.base import Lookup, lookup
from tasks.messages.render import Rendered, RenderOne
from tasks.services import rendering


@lookup("render.one", RenderOne)
def one(message: RenderOne, work: Lookup) -> Rendered:
    """Render one template for one recipient."""
    return rendering.render(message, work)
