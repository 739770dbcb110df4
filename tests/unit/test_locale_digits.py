# ruff: noqa: RUF001 - digits and signs of other scripts are what is tested
"""Numbers and times as CLDR has them where Babel differs: digits, groups, time zones, rounding."""

import pytest

from tasks.rendering.locale_filters import FILTERS, ArgumentError
from tests.support.cases import each

NBSP, LRM, RLM, ALM = "\u00a0", "\u200e", "\u200f", "\u061c"


@each(
    ("language", "number"),
    [
        ("fa", "۱٬۲۳۴٬۵۶۷٫۵"),
        ("fa-AF", "۱٬۲۳۴٬۵۶۷٫۵"),
        ("ar-EG", "١٬٢٣٤٬٥٦٧٫٥"),
        ("ar-SA", "١٬٢٣٤٬٥٦٧٫٥"),
        ("ar", "1,234,567.5"),
        ("ar-AE", "1,234,567.5"),
        ("ar-MA", "1.234.567,5"),
        ("bn", "১২,৩৪,৫৬৭.৫"),
        ("mr", "१२,३४,५६७.५"),
        ("ne", "१२,३४,५६७.५"),
        ("my", "၁,၂၃၄,၅၆၇.၅"),
        ("ckb", "١٬٢٣٤٬٥٦٧٫٥"),
        ("ur", "1,234,567.5"),
        ("hi", "12,34,567.5"),
        ("th", "1,234,567.5"),
        ("uz-Arab", "۱٬۲۳۴٬۵۶۷٫۵"),
        ("uz", f"1{NBSP}234{NBSP}567,5"),
    ],
)
def test_numbers_have_the_default_digits_of_the_language(language: str, number: str) -> None:
    """CLDR, defaultNumberingSystem: of the language, its script and its region."""
    assert FILTERS["number"](language, 1234567.5) == number
    assert FILTERS["plural"](language, 1234567.5, **_every_form()) == number


def _every_form() -> dict[str, str]:
    return dict.fromkeys(("zero", "one", "two", "few", "many", "other"), "#")


@each(
    ("name", "language", "value", "arguments", "expected"),
    [
        ("number", "fa", -12, (), f"{LRM}−۱۲"),
        ("percent", "fa", 0.256, (1,), "۲۵٫۶٪"),
        ("percent", "ar-EG", 0.256, (1,), f"٢٥٫٦٪{ALM}"),
        ("percent", "bn", 12345, (), "১,২৩৪,৫০০%"),
        ("currency", "ar-EG", "1234.5", ("EGP",), f"{RLM}١٬٢٣٤٫٥٠{NBSP}ج.م.{RLM}"),
        ("currency", "fa", "1234.5", ("EUR",), f"{LRM}€۱٬۲۳۴٫۵۰"),
        ("currency", "mr", "1234.5", ("INR",), "₹१,२३४.५०"),
        ("date", "fa", "2026-03-29", ("short",), "۲۰۲۶/۳/۲۹"),
        ("date", "bn", "2026-03-29", ("yyyy-MM-dd",), "২০২৬-০৩-২৯"),
        ("time", "mr", "2026-03-29T18:30:00Z", ("HH:mm",), "१८:३०"),
        ("list", "mr", ["a", 12], (), "a आणि १२"),
    ],
)
def test_all_filters_write_the_digits_of_the_language(
    name: str, language: str, value: object, arguments: tuple[object, ...], expected: str
) -> None:
    """With the signs and patterns that CLDR has for those digits."""
    assert FILTERS[name](language, value, *arguments) == expected


@each(
    ("language", "four", "five"),
    [
        ("es", "1234", "12.345"),
        ("es-MX", "1,234", "12,345"),
        ("pl", "1234", f"12{NBSP}345"),
        ("pt-PT", "1234", f"12{NBSP}345"),
        ("pt-BR", "1.234", "12.345"),
        ("it", "1234", "12.345"),
        ("de", "1.234", "12.345"),
        ("hi", "1,234", "12,345"),
    ],
)
def test_some_languages_group_from_five_digits_on(language: str, four: str, five: str) -> None:
    """CLDR, minimumGroupingDigits."""
    assert FILTERS["number"](language, 1234) == four
    assert FILTERS["number"](language, 12345) == five


@each(
    ("language", "zone", "expected"),
    [
        ("en", "Asia/Dubai", "GMT+4"),
        ("en", "Asia/Kolkata", "GMT+5:30"),
        ("en", "America/St_Johns", "GMT-3:30"),
        ("en", "America/New_York", "EST"),
        ("en", "Africa/Lagos", "GMT+1"),
        ("de", "America/New_York", "GMT-5"),
        ("de", "Europe/Berlin", "MEZ"),
        ("fr", "Asia/Dubai", "UTC+4"),
        ("fr", "America/New_York", "HNE"),
        ("fr", "America/Sao_Paulo", "UTC−3"),
        ("fi", "Asia/Kolkata", "UTC+5.30"),
        ("bg", "Asia/Dubai", "Гринуич+4"),
        ("fa", "Asia/Dubai", f"{LRM}+۴ گرینویچ"),
        ("ar", "Asia/Kolkata", "غرينتش+5:30"),
        ("he", "Asia/Dubai", f"GMT{LRM}+4{LRM}"),
        ("en", "UTC", "UTC"),
        ("en", "Etc/GMT", "GMT"),
        ("en", "Asia/Kathmandu", "GMT+5:45"),
        ("en", "Pacific/Kiritimati", "GMT+14"),
    ],
)
def test_a_zone_without_a_name_is_an_offset_from_gmt(
    language: str, zone: str, expected: str
) -> None:
    """UTS 35, part 4, "Time Zone Format Terminology": the short localized GMT format."""
    moment = "2026-01-31T12:00:00Z"
    assert FILTERS["time"](language, moment, "z", zone) == expected
    assert FILTERS["datetime"](language, moment, "long", zone).count(expected) == 1


@each(
    ("language", "pattern", "expected"),
    [
        ("en", "zzzz", "Gulf Standard Time"),
        ("en", "ZZZZ", "GMT+04:00"),
        ("fr", "ZZZZ", "UTC+04:00"),
        ("fi", "ZZZZ", "UTC+04.00"),
        ("en", "Z", "+0400"),
        ("fa", "Z", "+0400"),
        ("fa", "XXX", "+04:00"),
    ],
)
def test_zones_in_patterns_are_those_of_cldr(language: str, pattern: str, expected: str) -> None:
    """ISO 8601 has Western digits in every language."""
    assert FILTERS["time"](language, "2026-01-31T12:00:00Z", pattern, "Asia/Dubai") == expected


@each(
    ("rounding", "amounts"),
    [
        ("half_even", ("€0.12", "-€0.12", "€0.14")),
        ("half_up", ("€0.13", "-€0.13", "€0.14")),
        ("half_down", ("€0.12", "-€0.12", "€0.13")),
        ("up", ("€0.13", "-€0.13", "€0.14")),
        ("down", ("€0.12", "-€0.12", "€0.13")),
        ("ceiling", ("€0.13", "-€0.12", "€0.14")),
        ("floor", ("€0.12", "-€0.13", "€0.13")),
    ],
)
def test_an_author_says_how_a_half_is_rounded(rounding: str, amounts: tuple[str, ...]) -> None:
    """As ICU: to even unless told otherwise."""
    values = ("0.125", "-0.125", "0.135")
    written = [FILTERS["currency"]("en", value, "EUR", rounding=rounding) for value in values]
    assert tuple(written) == amounts
    if rounding == "half_even":
        assert FILTERS["currency"]("en", "0.125", "EUR") == "€0.12"


def test_numbers_and_percentages_are_rounded_the_same_way() -> None:
    """After the number was brought to hundredths."""
    assert FILTERS["number"]("en", 2.5, 0, rounding="half_up") == "3"
    assert FILTERS["number"]("en", "1.0005", rounding="half_up") == "1.001"
    assert FILTERS["percent"]("en", "0.125", rounding="half_up") == "13%"
    with pytest.raises(ArgumentError, match="half_up"):
        FILTERS["number"]("en", 1, rounding="bankers")


def test_halves_of_a_korean_day_are_korean() -> None:
    """As ICU and every browser write them; CLDR abbreviates them as AM and PM."""
    moment = "2026-03-29T18:30:00Z"
    assert FILTERS["time"]("ko", moment) == "오후 6:30"
    assert FILTERS["time"]("ko-KR", moment, "a h:mm", "Asia/Tokyo") == "오전 3:30"
