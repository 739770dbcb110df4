"""HTML elements in plain text: their marks, and whether they are shown."""

from collections.abc import Mapping

from tasks.rendering.plain_text.marks import (
    BREAK,
    BREAKS,
    ITEM,
    ITEM_END,
    LABEL,
    LINE,
    LINK,
    LINK_END,
    LIST,
    LIST_END,
    PARAGRAPH,
)

_PARAGRAPHS = "blockquote dl figure h1 h2 h3 h4 h5 h6 p pre table"
_LINES = (
    "address article aside body caption center dd details dir div dt fieldset figcaption footer "
    "form header html legend main menu nav option section summary tbody tfoot thead tr"
)
START_MARKS: Mapping[str, str] = {
    **dict.fromkeys(_PARAGRAPHS.split(), PARAGRAPH),
    **dict.fromkeys(_LINES.split(), LINE),
    "li": f"{LINE}{ITEM}",
    "td": " ",
    "th": " ",
}
END_MARKS: Mapping[str, str] = {**START_MARKS, "li": ITEM_END}
# Of these, unlike of the others, two are not one.
COUNTED_START: Mapping[str, str] = {
    "br": BREAK,
    "hr": f"{PARAGRAPH}---{PARAGRAPH}",
    "ol": LIST,
    "ul": LIST,
}
COUNTED_END: Mapping[str, str] = {"a": LINK_END, "ol": LIST_END, "ul": LIST_END}
ABOVE_A_SPACE = (" ", LIST, LIST_END, *BREAKS)
SHOWN_ATTRIBUTES: Mapping[str, tuple[str, str, str]] = {
    "a": ("href", LINK, LABEL),
    "img": ("alt", " ", " "),
}
SHOWN_RAW = frozenset({"textarea", "xmp"})
HIDDEN = frozenset({"head", "svg", "template"})
# HTML standard, section 13.2.6.4.4: any other element ends a head that was left open.
IN_HEAD = frozenset(
    {
        "base",
        "basefont",
        "bgsound",
        "head",
        "link",
        "meta",
        "noframes",
        "noscript",
        "script",
        "style",
        "template",
        "title",
    }
)
VOID = frozenset(
    {
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
    }
)
