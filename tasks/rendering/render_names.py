"""Names that templates have from the render itself: pure, no I/O."""

from typing import Final

RENDER_NAMES: Final = frozenset({"dir", "language"})
"""The language of the text, and its direction."""
