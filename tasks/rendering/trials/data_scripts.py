"""Scripts of a page that hold data, which must be JSON: pure, no I/O.

Gmail shows no action of an e-mail whose data has a comma too many, and says nothing.
"""

import json
from collections.abc import Iterator
from typing import Final

from tasks.rendering.explain import SourceError
from tasks.rendering.html.contexts import holds_data
from tasks.rendering.html.markup import Token, tokens

_LOOP: Final = "; between items of a loop write {% if not loop.last %},{% endif %}"


def require_data(page: str, source: str) -> None:
    """Make sure that the data scripts of a rendered page are JSON.

    Raises
    ------
    SourceError
        One is not JSON. The place is where the script is in the source.
    """
    if "json" not in page.lower():
        return
    rendered = list(_scripts(page))
    for index, token in enumerate(rendered):
        content = page[token.start : token.end]
        try:
            json.loads(content if content.strip() else "null")
        except RecursionError:
            continue
        except ValueError:
            message = "the content of this script is not JSON, so that no program reads it"
            message += _LOOP if "{% for" in source else ""
            places = [token.start for token in _scripts(source)]
            place = places[index] if len(places) == len(rendered) else None
            raise SourceError.syntax("body", "script_json", message, source, place) from None


def _scripts(page: str) -> Iterator[Token]:
    """Yield the contents of data scripts."""
    is_data = False
    for token in tokens(page):
        if token.sort == "raw" and is_data:
            yield token
        is_data = token.sort == "start" and token.name == "script" and holds_data(page, token)
