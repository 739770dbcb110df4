"""A compiled source and the partials that it may use."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from tasks.rendering.compiler import Compiler
from tasks.rendering.locale_filters.directions import direction_of


@dataclass(frozen=True)
class CompiledSource:
    """A compiled source and the compiled partials that it may use, by their ids.

    ``language`` is the text's; ``has_marks`` is whether its output has the marks of a text
    that was derived from HTML.
    """

    compiler: Compiler
    name: str
    partials: Mapping[str, str]
    language: str
    has_marks: bool = False

    @cached_property
    def of_render(self) -> dict[str, str]:
        """Return the values that the render itself adds, if the sources may use them."""
        if not self.compiler.asks_for_render([self.name, *self.partials.values()]):
            return {}
        return {"language": self.language, "dir": direction_of(self.language)}

    def reaches_methods(self) -> bool:
        """Return whether any of the sources may call methods of its values."""
        return self.compiler.reaches_methods([self.name, *self.partials.values()])
