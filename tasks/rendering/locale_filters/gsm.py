"""Punctuation of the default alphabet of SMS instead of CLDR's (3GPP TS 23.038).

One character that GSM-7 lacks makes a whole message UCS-2, and twice as dear. CLDR writes spaces
and signs that GSM-7 lacks, of which a reader sees no difference on a phone. Only what a filter
writes itself is changed: neither an author's text nor a value.
"""

from typing import Final

from tasks.rendering.locale_filters.directions import is_right_to_left

_MARK: Final = "-x-gsm"
"""The end of a language tag that asks for it: a private subtag (RFC 5646, section 2.2.7)."""

_PLAIN: Final = str.maketrans(
    {
        **dict.fromkeys("\u00a0\u2007\u2008\u2009\u200a\u202f", " "),
        **dict.fromkeys("\u2018\u2019\u02bc\u2032", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u2033", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
        "\u2026": "...",
    }
)


def for_sms(language: str) -> str:
    """Return the tag with which filters write a language in the punctuation of GSM-7."""
    # Right-to-left text needs UCS-2 anyway, and its spaces and signs keep numbers in order.
    return language if is_right_to_left(language) else f"{language}{_MARK}"


def spoken(language: str) -> str:
    """Return a tag as an author knows it."""
    return language.removesuffix(_MARK)


def plain(language: str, text: str) -> str:
    """Return a filter's result, with GSM-7's punctuation where that is wanted."""
    return text.translate(_PLAIN) if language.endswith(_MARK) else text
