"""``render.*``: the tasks that finish texts."""

from tasks.base import lookup
from tasks.messages.render import (
    BatchRendered,
    Preview,
    Previewed,
    RenderBatch,
    Rendered,
    RenderOne,
)
from tasks.services import batches, previews, rendering
from tasks.work import Answer, Lookup


@lookup("render.one", RenderOne, result=Rendered)
def one(message: RenderOne, work: Lookup) -> Answer:
    """Render one template for one recipient."""
    return rendering.render(message, work)


@lookup("render.batch", RenderBatch, result=BatchRendered)
def batch(message: RenderBatch, work: Lookup) -> Answer:
    """Render one template for many recipients."""
    return batches.render_batch(message, work)


@lookup("render.preview", Preview)
def preview(message: Preview, work: Lookup) -> Previewed:
    """Render a text that is not stored."""
    return previews.preview(message, work)
