"""An environment whose prints go through Python: see :mod:`tasks.rendering.watching`."""

from collections.abc import Callable, Mapping
from typing import Any

from minijinja import Environment, pass_state
from minijinja._lowlevel import State

from tasks.rendering.filters.guards import lacks
from tasks.rendering.tags import prepared
from tasks.rendering.watching import PRINTED, Found, judged, name_of, watched


class Watcher:
    """Renders sources once more, and looks at each print.

    Parameters
    ----------
    environment
        Returns an environment with the filters of the service; it takes the engine's options.
    source
        Returns the source of a name.
    texts
        What the engine renders, by their names: for sources whose syntax cannot be read.
    """

    def __init__(
        self,
        environment: Callable[..., Environment],
        source: Callable[[str], str],
        texts: Mapping[str, str],
    ) -> None:
        self._new_environment = environment
        self._source = source
        self._texts = texts
        self._environment: Environment | None = None
        self._values: Mapping[str, Any] = {}
        self._found: list[Found] = []

    def forget(self) -> None:
        """Drop the compiled sources."""
        self._environment = None

    def reads(self, name: str) -> bool:
        """Return whether each print of a source is seen, and not only what comes out."""
        return watched(self._source(name)) is not None

    def watch(self, name: str, values: Mapping[str, Any]) -> tuple[str | None, list[Found]]:
        """Return the output, or None where the render fails, and the prints that must not be."""
        self._found, self._values = [], values
        if self._environment is None:
            self._environment = self._new_environment(
                finalizer=_printable, loader=self._watched_source
            )
            self._environment.add_filter(PRINTED, self._filter())
        try:
            rendered = self._environment.render_template(name, **values)
        except Exception:  # noqa: BLE001 - whatever it is, the render itself says it
            return None, self._found
        except BaseException as error:
            # So ends, in PyO3, an allocation that fails; Python cannot import its class.
            if type(error).__name__ == "PanicException":
                raise MemoryError from None
            raise
        return rendered, self._found

    def _watched_source(self, name: str) -> str:
        found = watched(self._source(name))
        return self._texts[name] if found is None else prepared(found[0])

    def _filter(self) -> Callable[..., Any]:
        @pass_state
        def printed(state: State, value: Any = None, *arguments: Any) -> Any:  # noqa: ANN401 - any value of a template
            place, *passed = arguments
            source = watched(self._source(state.name))
            about = None if source is None else source[1].get(place)
            kind = None if about is None else judged(value, about)
            if about is None or kind is None:
                return "" if value is None else value
            name, is_path = name_of(about, self._values, passed)
            self._found.append(Found(state.name, place, kind, name, is_path))
            return ""

        return printed


def _printable(value: Any) -> Any:  # noqa: ANN401 - any value of a template
    # The engine prints nothing for an "if" without "else", and the value that it has.
    return "" if lacks(value) else NotImplemented
