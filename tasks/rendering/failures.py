"""Exceptions of a render other than the engine's own errors."""

from typing import Literal

from tasks.rendering.locale_filters import FilterError


class NullPrintedError(Exception):
    """A null, object, array or boolean was about to be printed."""


Kind = Literal["filter", "invalid_operation", "test"]


class FilterFailedError(Exception):
    """A filter, test or operator refused its input.

    ``use`` is the name it was used by, ``template`` the compiled name of where it is, and
    ``place`` its offset there, if known.
    """

    def __init__(
        self,
        kind: Kind,
        use: str,
        template: str,
        error: FilterError,
        place: int | None = None,
    ) -> None:
        super().__init__(str(error))
        self.place = place
        self.kind: Kind = kind
        self.use = use
        self.template = template
        self.error = error
