"""Definitions of templates for the tests of authoring, and a folder that holds them."""

from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st

from tasks.rendering.limits import Limits
from tasks.rendering.texts import Sources
from worker.authoring.definition import Definition
from worker.authoring.folder import Folder
from worker.authoring.reading import read_folder
from worker.authoring.writing import write_template

# A busy machine takes longer than a render may.
LIMITS: Final = Limits(render_seconds=30)
TYPES: Final = ("email", "in_app", "sms", "push", "json", "partial")
_ODD: Final = ("\r", "a\r\n", "\n", "\n\n", "\r\n\r\n", "\ufeff", "\ufeffa\n", "'''", '"""', "\\")
_TEXT: Final = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40
) | st.sampled_from(_ODD)
_ONE_LINE: Final = st.text(st.characters(categories=["L", "N", "P", "Zs"]), min_size=1, max_size=20)
_JSON: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_OBJECT: Final = st.dictionaries(_TEXT.filter(lambda key: key != "language"), _JSON, max_size=3)
_NAME: Final = st.from_regex(r"[a-z]{1,6}(\.[a-z]{1,6})?", fullmatch=True).filter(
    lambda name: (
        name.partition(".")[0]
        not in {"caller", "dir", "false", "language", "loop", "none", "self", "super", "true"}
    )
)


@st.composite
def variables(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Return declared variables in their normal form."""
    names = draw(st.lists(_NAME, unique_by=lambda name: name.partition(".")[0], max_size=4))
    return [
        {
            key: value
            for key, value in {
                "name": name,
                "type": draw(st.sampled_from(["any", "string", "array"])),
                "required": draw(st.booleans()),
                "default": draw(_JSON),
                "description": draw(st.none() | _TEXT),
                "example": draw(_JSON),
            }.items()
            if value is not None
        }
        for name in names
    ]


@st.composite
def sources(draw: st.DrawFn, kind: str) -> Sources:
    """Return the sources of one language of a template of a type."""
    is_email = kind == "email"
    some = _TEXT.filter(bool)
    return Sources(
        draw(st.none() | _TEXT),
        draw(some),
        draw(st.none() | some) if is_email else None,
        draw(st.none() | some) if is_email else None,
    )


@st.composite
def definitions(draw: st.DrawFn, template_id: str = "a") -> Definition:
    """Return any definition that the messages of the service take; its sources need not compile."""
    kind = draw(st.sampled_from(TYPES))
    languages = draw(st.lists(st.sampled_from(["de", "pt-BR", "zh-Hant", "ar"]), unique=True))
    language = draw(st.sampled_from([{}, {"language": "en"}, {"language": "fr"}]))
    return Definition(
        template_id=template_id,
        name=draw(_ONE_LINE),
        type=kind,
        own=draw(sources(kind)),
        description=draw(st.none() | _TEXT),
        category=draw(st.none() | _ONE_LINE),
        is_active=draw(st.booleans()),
        metadata=draw(_OBJECT | _OBJECT.map(lambda value: value | {"language": "x"})),
        inline_css=draw(st.booleans()),
        variables=draw(st.none() | variables()),
        version_metadata=draw(_OBJECT) | language,
        translations={each: draw(sources(kind)) for each in languages},
    )


def simple(template_id: str = "greeting", **changes: Any) -> Definition:  # noqa: ANN401 - members of any type
    """Return a small definition that passes the gate."""
    members: dict[str, Any] = {
        "template_id": template_id,
        "name": "Greeting",
        "type": "email",
        "own": Sources("Hello {{ name }}", "<p>Hello {{ name }}</p>\n"),
        "variables": [{"name": "name", "type": "string", "required": True, "example": "Ada"}],
        "version_metadata": {"language": "en"},
    }
    return Definition(**(members | changes))


def written(root: Path, *those: Definition) -> Folder:
    """Write definitions into a folder and return what is read of it."""
    for each in those:
        write_template(root, root / each.template_id, each)
    return read_folder(root, LIMITS)
