"""Suggested fixes for unknown filters, tests and functions: pure, no I/O."""

import re
from difflib import get_close_matches
from typing import Final

NAMES: Final = {
    "filter": re.findall(
        r"\w+",
        "abs attr batch bool capitalize chain count currency d date datetime default dictsort e "
        "escape filesizeformat first float format groupby indent int items join last length lines "
        "list lower map max min number percent plural pluralize pprint reject rejectattr replace "
        "reverse round select selectattr slice sort split string striptags sum time title tojson "
        "trim truncate unique upper urlencode wordwrap zip",
    ),
    "test": re.findall(
        r"\w+",
        "boolean defined divisibleby endingwith eq even false filter float ge gt in integer "
        "iterable le lower lt mapping ne none number odd sameas sequence startingwith string test "
        "true undefined upper",
    ),
}
"""What may be meant by a name that does not exist."""
NOT_THERE: Final = {
    "filter": {
        "asset_url": "write the address out, or send it as a value",
        "append": "join texts by ~, as in {{ name ~ '!' }}",
        "capitalise": "write capitalize",
        "ceil": "write {{ total | round(0, 'ceil') }}",
        "center": "alignment is the page's: use a style",
        "date_format": "write date, as in {{ day | date('short') }}",
        "datetimeformat": "write datetime, as in {{ moment | datetime('short') }}",
        "dateformat": "write date, as in {{ day | date('short') }}",
        "divided_by": "write /",
        "downcase": "write lower",
        "escape_html": "values are escaped where they are printed: leave it out",
        "escape_once": "values are escaped where they are printed: leave it out",
        "find": "write selectattr, as in {{ (items | selectattr('id', '==', 1) | first).name }}",
        "floatformat": "write number(digits=2)",
        "floor": "write {{ total | round(0, 'floor') }}",
        "html": "values are escaped where they are printed: leave it out",
        "img_tag": 'write <img src="{{ address }}" alt="...">',
        "intcomma": "write number",
        "format_currency": "write currency, as in {{ total | currency('EUR') }}",
        "format_date": "write date, as in {{ day | date('short') }}",
        "formatcurrency": "write currency, as in {{ total | currency('EUR') }}",
        "jsonencode": "write tojson",
        "json_encode": "write tojson",
        "json": "write tojson",
        "keys": "write a loop: {% for key, item in object | items %}",
        "lowercase": "write lower",
        "linebreaks": "write a loop over {{ text | lines }}",
        "minus": "write -",
        "money": "write currency, as in {{ total | currency('EUR') }}",
        "money_with_currency": "write currency, as in {{ total | currency('EUR') }}",
        "money_without_trailing_zeros": "write currency, as in {{ total | currency('EUR') }}",
        "n": "values are escaped where they are printed: leave it out",
        "newline_to_br": "write a loop over {{ text | lines }}",
        "nl2br": "write a loop over {{ text | lines }}",
        "number_format": "write number, as in {{ total | number }}",
        "pluck": "write map, as in {{ items | map(attribute='name') | list }}",
        "plus": "write +",
        "prepend": "join texts by ~, as in {{ 'Dear ' ~ name }}",
        "raw": "values are never markup: write the tags into the template, or declare the variable "
        "as 'markdown'",
        "safe": "values are never markup: write the tags into the template, or declare the "
        "variable as 'markdown'",
        "size": "write length",
        "slugify": "send the address as a value",
        "sort_by": "write sort, as in {{ items | sort(attribute='name') }}",
        "strftime": "write date, as in {{ day | date('short') }}",
        "strip": "write trim",
        "t": "texts of other languages are translations of the version",
        "titlecase": "write title",
        "tolowercase": "write lower",
        "touppercase": "write upper",
        "tofixed": "write number(digits=2)",
        "translate": "texts of other languages are translations of the version",
        "truncatechars": "write truncate(length=40)",
        "truncatewords": "write truncate(length=40)",
        "ucfirst": "write capitalize",
        "ucwords": "write title",
        "uppercase": "write upper",
        "strip_html": "write striptags",
        "times": "write *",
        "to_json": "write tojson",
        "trans": "texts of other languages are translations of the version",
        "upcase": "write upper",
        "url_encode": "write urlencode",
        "values": "write a loop: {% for key, item in object | items %}",
        "where": "write selectattr, as in {{ items | selectattr('kind', '==', 'new') | list }}",
        "wordcount": "write {{ text | split | length }}",
        "yesno": "write {{ 'yes' if name else 'no' }}",
    },
    "test": {
        "blank": "write {% if not name %}",
        "callable": "no value can be called",
        "containing": "write 'in', as in {% if 'a' in name %}",
        "contains": "write 'in', as in {% if 'a' in name %}",
        "divisible": "write divisibleby(2)",
        "empty": "write {% if not name %}; with not, {% if name %}",
        "equal": "write ==",
        "nil": "write none",
        "null": "write none",
        "present": "write {% if name %}",
        "set": "write defined",
    },
}
"""What to write for filters and tests of other engines."""


FUNCTIONS_NOT_THERE: Final = {
    "_": "texts of other languages are translations of the version",
    "defined": "write {% if name is defined %}",
    "empty": "write {% if not name %}",
    "enumerate": "write {{ loop.index }} in the loop",
    "exists": "write {% if name is defined %}",
    "gettext": "texts of other languages are translations of the version",
    "isset": "write {% if name is defined %}",
    "len": "write {{ items | length }}",
    "now": "times are values: send one, and write {{ moment | datetime('short') }}",
    "size": "write {{ items | length }}",
    "str": "write {{ value | string }}",
    "t": "texts of other languages are translations of the version",
    "today": "dates are values: send one, and write {{ day | date('short') }}",
    "trans": "texts of other languages are translations of the version",
}
"""What to write for functions of other engines."""


def of_function(name: str) -> str | None:
    """Return what to write for an unknown function, if known."""
    if name == "zip":
        return "zip is a filter: write {{ names | zip(prices) }}"
    if name in NAMES["filter"]:
        return f"{name} is a filter: write {{{{ value | {name} }}}}"
    return FUNCTIONS_NOT_THERE.get(name.lower())


def of_unknown(kind: str, name: str) -> str:
    """Return the sentence about an unknown filter or test: what to write instead."""
    shown = f"unknown {kind} '{name[:50]}'"
    remedy = NOT_THERE[kind].get(name.lower())
    if remedy is not None:
        return f"{shown}: {remedy}"
    close = get_close_matches(name[:50].lower(), NAMES[kind], n=1, cutoff=0.75)
    other = close[0] if close else f"one of the {kind}s that docs/templates.md lists"
    return f"{shown}: write {other}"
