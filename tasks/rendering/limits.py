"""The limits of a message and of a render."""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from annotated_types import Interval

from tasks.errors import Code, problem

MIB: Final = 1024 * 1024
# A number beyond these is a typing error. The render process imports this module and none of db.
BYTES: Final = Interval(ge=1, le=2**40)
COUNT: Final = Interval(ge=1, le=2**31 - 1)
SOFT_TIME_LIMIT: Final = 20
"""Seconds that a task may take by default."""

BATCH_SHARE: Final = 0.6
"""Share of a task's time for a batch; the rest is for the last render and the answer."""

TRIAL_SHARE: Final = 0.1
"""Share of a task's time for the trial renders of a publish; the same share again for the trial
renders of carried translations."""

SECONDS_OF_EACH: Final = 0.04
"""Additional time of the trial renders for each translation that is carried over."""

TRIAL_RENDERS: Final = 96
"""Trial renders of one text: four parts, four stand-ins, optional values given and left out; and
of JSON documents, in which each value has more shapes."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one message. Sizes are bytes of UTF-8 (of JSON for variables and messages)."""

    body_bytes: Annotated[int, BYTES, "Source of a body, in bytes of UTF-8."] = 256 * 1024
    subject_bytes: Annotated[int, BYTES, "Source of a subject, in bytes of UTF-8."] = 2 * 1024
    variables_bytes: Annotated[int, BYTES, "Variables of one render, in bytes of JSON."] = (
        256 * 1024
    )
    output_bytes: Annotated[int, BYTES, "Rendered output, in bytes of UTF-8."] = 2 * MIB
    message_bytes: Annotated[int, BYTES, "Body of a message, in bytes."] = MIB
    batch_bytes: Annotated[
        int, BYTES, "Body of a message of render.batch or bundle.apply, in bytes."
    ] = 4 * MIB
    bundle_templates: Annotated[int, COUNT, "Templates of one bundle.apply."] = 1000
    batch_items: Annotated[int, COUNT, "Items of one batch."] = 1000
    batch_output_bytes: Annotated[int, BYTES, "All results of one batch, in bytes of JSON."] = (
        64 * MIB
    )
    partial_depth: Annotated[int, COUNT, "Partials that use one another, one below the other."] = 10
    translations: Annotated[int, COUNT, "Translations of one version."] = 200
    render_seconds: Annotated[
        float, Interval(gt=0, le=86_400), "Seconds of processor time of one render."
    ] = 1.0
    render_memory_mb: Annotated[
        int, Interval(ge=64, le=2**20), "Address space of the render process, in MiB."
    ] = 256

    # Constants, not settings: no operator has a reason to change them.
    depth: int = 64
    """Levels of objects and arrays in variables and metadata."""

    batch_seconds: float = BATCH_SHARE * SOFT_TIME_LIMIT
    """Seconds after which the rest of a batch's items, or a whole bundle, is refused."""

    trial_seconds: float = TRIAL_SHARE * SOFT_TIME_LIMIT
    """Seconds of processor time for all trial renders of a publish together."""

    @property
    def render_memory_bytes(self) -> int:
        """Address space of the render process."""
        return self.render_memory_mb * MIB

    @property
    def compiled_sources(self) -> int:
        """Sources that each compiler of a render process keeps: 2048 by default.

        An e-mail of 2 KB has three and takes 50 KB of memory, compiled; to compile it takes as
        long as a dozen renders.
        """
        return self.render_memory_mb * 8

    @property
    def compiled_characters(self) -> int:
        """Characters of these sources: 4 Mi by default. Compiled they take twenty times as much."""
        return self.render_memory_bytes // 64


def memory_error(limits: Limits) -> list[Any]:
    """Return code, message and details for a render that needed more memory than there is."""
    message = f"more than {limits.render_memory_bytes} bytes of memory"
    return [Code.RENDER_LIMIT_EXCEEDED, message, [problem("", "limit", message)]]
