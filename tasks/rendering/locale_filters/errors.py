"""Errors of the locale filters. Their messages say what was expected and never quote a value."""


class FilterError(ValueError):
    """A filter cannot be applied."""


class ArgumentError(FilterError):
    """An argument of the filter is wrong: the template is at fault."""


class PatternError(ArgumentError):
    """A pattern of the template means something else than it seems to."""


class InputError(FilterError):
    """The value does not match the filter: the values are at fault."""


def refuse_missing(value: object) -> None:
    """Raise an :class:`InputError` for a value that is undefined or null."""
    if value is None:
        raise InputError("a value is missing: it is undefined or null")
