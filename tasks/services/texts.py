"""The texts of a version on their way through the publish gate."""

import time
from collections.abc import Mapping
from typing import Any

from db import models
from tasks.rendering.limits import SECONDS_OF_EACH
from tasks.rendering.texts import Text
from tasks.services import graph
from tasks.services.gate import Candidate, Gate
from tasks.services.partials import Library
from tasks.work import Work


class Texts:
    """Makes candidates of a template's sources, each with its partials in its language.

    ``taken_over`` is how many of them are translations of an earlier version.
    """

    def __init__(
        self, work: Work, template: models.Template, library: Library, taken_over: int = 0
    ) -> None:
        self._type = template.type
        self._default_language = work.configuration.default_language
        self._library = library
        seconds = work.configuration.limits.trial_seconds + SECONDS_OF_EACH * taken_over
        deadline = time.monotonic() + seconds
        self.gate = Gate(work.runtime.renderer, library, graph.place(work, template), deadline)

    def own(
        self, subject: str | None, body: str, metadata: Mapping[str, Any], prefix: str = ""
    ) -> Candidate:
        """Return the version's own text; ``metadata`` is the version's."""
        language = metadata.get("language", self._default_language)
        return Candidate(prefix, self._text(language, subject, body))

    def translation(
        self, own: Candidate, language: str, subject: str | None, body: str, prefix: str
    ) -> Candidate:
        """Return a translation, which has the version's subject where it has none."""
        has_subject = subject is not None or own.text["subject"] is None
        effective = subject if subject is not None else own.text["subject"]
        return Candidate(prefix, self._text(language, effective, body), has_subject)

    def _text(self, language: str, subject: str | None, body: str) -> Text:
        return Text(
            type=self._type,
            language=language,
            subject=subject,
            body=body,
            partials=self._library.in_language(language),
        )
