"""The service as authoring sees it: answers to messages."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, Protocol

from worker.authoring.definition import Definition, of_entry


class Caller(Protocol):
    """Anything that sends messages; :class:`worker.producer.Producer` does."""

    def call(self, task: str, keywords: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a message."""


class Remote(NamedTuple):
    """A template that the service has.

    ``version`` is the current one, None before the first publish; ``definition`` is None then, and
    where only digests were asked for.
    """

    template_id: str
    version: str | None
    digest: str
    definition: Definition | None = None


_IDS: Final = 1000
"""The most templates that one message names."""


def digests(service: Caller) -> dict[str, Remote]:
    """Return all templates of the service, without their contents."""
    return {each.template_id: each for each in _pages(service, {"content": False, "limit": _IDS})}


def contents(service: Caller, ids: Iterable[str] | None = None) -> Iterator[Remote]:
    """Yield the named templates, or all, with their contents."""
    if ids is None:
        yield from _pages(service, {"limit": _IDS})
        return
    names = sorted(ids)
    for start in range(0, len(names), _IDS):
        chunk = names[start : start + _IDS]
        yield from _pages(service, {"template_ids": chunk, "limit": _IDS})


def _pages(service: Caller, keywords: Mapping[str, Any]) -> Iterator[Remote]:
    after = None
    while True:
        place: dict[str, Any] = {} if after is None else {"after": after}
        page = service.call("template.export", {**keywords, **place})
        for each in page["templates"]:
            has_content = keywords.get("content", True)
            definition = of_entry(each) if has_content else None
            yield Remote(each["template_id"], each["current_version"], each["digest"], definition)
        after = page["next"]
        if after is None:
            return
