"""A compiled source and the partials that it may use."""

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.rendering.compiler import Compiler


@dataclass(frozen=True, slots=True)
class CompiledSource:
    """A compiled source and the compiled partials that it may use, by their ids.

    ``has_marks`` tells whether its output has the marks of a text that was derived from HTML.
    """

    compiler: Compiler
    name: str
    partials: Mapping[str, str]
    has_marks: bool = False

    def reaches_methods(self) -> bool:
        """Tell whether any of the sources may call methods of its values."""
        return self.compiler.reaches_methods([self.name, *self.partials.values()])
