"""The filters that write numbers, dates, plurals and lists as a language does."""

import datetime as dt
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, SupportsIndex
from zoneinfo import ZoneInfo

import pytest
from babel import localedata
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.rendering.locale_filters import FILTERS, ArgumentError, FilterError, InputError
from tasks.rendering.locale_filters.locales import locale_of
from tasks.rendering.outputs import one_line
from tests.support.cases import each

QUICK = settings(max_examples=80, deadline=None)
LANGUAGES = ("en", "de", "fr", "pl", "ar", "cy", "ja", "hi", "pt-BR", "zh-Hant")
NAMES = (
    "currency",
    "number",
    "percent",
    "date",
    "time",
    "datetime",
    "plural",
    "list",
    "filesizeformat",
)
EXACT = Context(prec=100, rounding=ROUND_HALF_EVEN)
CATEGORIES = ("zero", "one", "two", "few", "many", "other")
EVERY_FORM = {category: category for category in CATEGORIES}
NBSP, NARROW, LRM, RLM = "\u00a0", "\u202f", "\u200e", "\u200f"
EURO, YEN = "\u20ac", "\u00a5"
NOON = "2026-01-31T12:00:00Z"
MARK = "\N{SNOWMAN}"
BENGALI = "\u09e7.\u09e6\u09e6"


def written(name: str, language: str, value: object, /, *arguments: object, **named: object) -> str:
    """Return what a filter writes."""
    text = FILTERS[name](language, value, *arguments, **named)
    assert type(text) is str
    return text


def refused(
    kind: type[FilterError],
    name: str,
    language: str,
    value: object,
    /,
    *arguments: object,
    **named: object,
) -> str:
    """Return the message of a filter that refuses, which begins with its name."""
    with pytest.raises(FilterError) as caught:
        FILTERS[name](language, value, *arguments, **named)
    assert caught.type is kind, str(caught.value)
    start, _, message = str(caught.value).partition(": ")
    assert start == name
    return message


def test_there_are_nine_filters() -> None:
    """The names by which templates reach them."""
    assert tuple(FILTERS) == NAMES


def test_whose_fault_it_is_can_be_told_apart() -> None:
    """An argument's error is never a value's."""
    assert issubclass(ArgumentError, FilterError)
    assert issubclass(InputError, FilterError)
    assert not issubclass(ArgumentError, InputError)
    assert not issubclass(InputError, ArgumentError)


class TestCurrency:
    """Amounts of money."""

    @each(
        ("language", "euros", "yens"),
        [
            ("en", f"-{EURO}1,234,567.50", f"{YEN}1,234,568"),
            ("de", f"-1.234.567,50{NBSP}{EURO}", f"1.234.568{NBSP}{YEN}"),
            (
                "fr",
                f"-1{NARROW}234{NARROW}567,50{NBSP}{EURO}",
                f"1{NARROW}234{NARROW}568{NBSP}JPY",
            ),
            ("pl", f"-1{NBSP}234{NBSP}567,50{NBSP}{EURO}", f"1{NBSP}234{NBSP}568{NBSP}JPY"),
            ("ar", f"{RLM}{LRM}-1,234,567.50{NBSP}{EURO}", f"{RLM}1,234,568{NBSP}JP{YEN}"),
            ("cy", f"-{EURO}1,234,567.50", f"JP{YEN}1,234,568"),
            ("ja", f"-{EURO}1,234,567.50", "\uffe51,234,568"),
            ("hi", f"-{EURO}12,34,567.50", f"JP{YEN}12,34,568"),
            ("pt-BR", f"-{EURO}{NBSP}1.234.567,50", f"JP{YEN}{NBSP}1.234.568"),
            ("zh-Hant", f"-{EURO}1,234,567.50", f"{YEN}1,234,568"),
        ],
    )
    def test_each_language_has_its_own_way(self, language: str, euros: str, yens: str) -> None:
        """Sign, separators, groups and the place of the symbol; half a yen rounds to even."""
        assert written("currency", language, "-1234567.50", "EUR") == euros
        assert written("currency", language, 1234567.5, "JPY") == yens

    @each(
        ("code", "expected"),
        [("EUR", f"{EURO}1.50"), ("JPY", f"{YEN}2"), ("KWD", f"KWD{NBSP}1.500")],
    )
    def test_digits_are_those_of_the_currency(self, code: str, expected: str) -> None:
        """ISO 4217: two for the euro, none for the yen, three for the dinar of Kuwait."""
        assert written("currency", "en", "1.5", code) == expected

    @each(("digits", "expected"), [(0, "$2"), (1, "$1.5"), (4, "$1.5000"), (10, "$1.5000000000")])
    def test_digits_can_be_given(self, digits: int, expected: str) -> None:
        """By place and by name."""
        assert written("currency", "en", 1.5, "USD", digits) == expected
        assert written("currency", "en", 1.5, code="USD", digits=digits) == expected

    @each(
        ("language", "code", "expected"),
        [
            ("en", "CHF", f"CHF{NBSP}1.00"),
            ("en", "USD", "$1.00"),
            ("en", "CAD", "CA$1.00"),
            ("bn", "CHF", f"{BENGALI}{NBSP}CHF"),
            ("bn", "EUR", f"{BENGALI}{EURO}"),
            ("bn", "USD", f"{BENGALI}{NBSP}US$"),
            ("de", "CHF", f"1,00{NBSP}CHF"),
        ],
    )
    def test_letters_do_not_touch_digits(self, language: str, code: str, expected: str) -> None:
        """CLDR's currencySpacing: a space where a letter of the symbol would touch a digit."""
        assert written("currency", language, 1, code) == expected

    @each("code", ["eur", "EU", "", "ABC", "EURO", "\u20ac", None, 978, ["EUR"]])
    def test_a_code_is_of_iso_4217(self, code: object) -> None:
        """Nothing else names a currency; the message shows how one looks."""
        assert "ISO 4217" in refused(ArgumentError, "currency", "en", 1, code)


class TestNumbers:
    """Numbers and percentages."""

    @each(
        ("language", "number", "ratio"),
        [
            ("en", "-1,234,567.891", "25.6%"),
            ("de", "-1.234.567,891", f"25,6{NBSP}%"),
            ("fr", f"-1{NARROW}234{NARROW}567,891", f"25,6{NBSP}%"),
            ("pl", f"-1{NBSP}234{NBSP}567,891", "25,6%"),
            ("ar", f"{LRM}-1,234,567.891", f"25.6{LRM}%{LRM}"),
            ("cy", "-1,234,567.891", "25.6%"),
            ("ja", "-1,234,567.891", "25.6%"),
            ("hi", "-12,34,567.891", "25.6%"),
            ("pt-BR", "-1.234.567,891", "25,6%"),
            ("zh-Hant", "-1,234,567.891", "25.6%"),
            ("sv", f"\u22121{NBSP}234{NBSP}567,891", f"25,6{NBSP}%"),
        ],
    )
    def test_each_language_has_its_own_way(self, language: str, number: str, ratio: str) -> None:
        """Separators, groups, and the space before a percent sign."""
        assert written("number", language, -1234567.891) == number
        assert written("percent", language, "0.2561", 1) == ratio

    @each(
        ("value", "expected"),
        [
            (0, "0"),
            (-7, "-7"),
            (1000000, "1,000,000"),
            (12.0, "12"),
            (12.5, "12.5"),
            (0.1, "0.1"),
            (0.1 + 0.2, "0.3"),
            (1e22, "10,000,000,000,000,000,000,000"),
            (1e-7, "0"),
            (5e-324, "0"),
            ("12", "12"),
            ("12.50", "12.50"),
            ("12.0", "12.0"),
            ("007.5", "7.5"),
            ("1.23456", "1.235"),
            ("1.50000", "1.500"),
            ("-0.05", "-0.05"),
        ],
    )
    def test_a_number_shows_the_digits_it_has_up_to_three(
        self, value: object, expected: str
    ) -> None:
        """Text keeps its zeros; a JSON number is the same with and without them."""
        assert written("number", "en", value) == expected

    @each(
        ("value", "digits", "expected"),
        [
            (0.5, 0, "0"),
            (1.5, 0, "2"),
            (2.5, 0, "2"),
            ("1.005", 2, "1.00"),
            (1.015, 2, "1.02"),
            (1, 2, "1.00"),
            (12.5, None, "12.5"),
            (-0.001, 2, "0.00"),
            (-0.0, 0, "0"),
            ("-0", 1, "0.0"),
        ],
    )
    def test_half_is_rounded_to_even(self, value: object, digits: object, expected: str) -> None:
        """Of the number as it is written, not of its binary neighbour; zero has no sign."""
        assert written("number", "en", value, digits) == expected
        assert written("number", "en", value, digits=digits) == expected

    @each(
        ("value", "digits", "expected"),
        [
            (0.25, None, "25%"),
            (0.255, None, "26%"),
            (0.245, None, "24%"),
            (1, None, "100%"),
            (12.345, 1, "1,234.5%"),
            ("0.0725", 2, "7.25%"),
            (-0.001, None, "0%"),
        ],
    )
    def test_a_percentage_is_a_ratio(self, value: object, digits: object, expected: str) -> None:
        """One is a hundred percent; no digits of a fraction unless they are asked for."""
        assert written("percent", "en", value, digits) == expected

    def test_no_digit_of_a_long_amount_is_lost(self) -> None:
        """Money travels as text, and is longer than a float's 17 digits."""
        value = "123456789012345678901234567890.12"
        expected = "123,456,789,012,345,678,901,234,567,890.12"
        assert written("number", "en", value) == expected
        assert written("currency", "en", value, "USD") == f"${expected}"
        hundredfold = "12,345,678,901,234,567,890,123,456,789,012"
        assert written("percent", "en", value) == f"{hundredfold}%"

    @QUICK
    @given(
        st.decimals(-(10**30) + 1, 10**30 - 1, places=12, allow_nan=False, allow_infinity=False),
        st.integers(0, 10),
    )
    @example(Decimal("-0.000000000001"), 0)
    def test_english_is_as_python_writes_it(self, value: Decimal, digits: int) -> None:
        """The standard library's decimal arithmetic and its groups of three are the oracle."""
        rounded = value.quantize(Decimal(1).scaleb(-digits), context=EXACT)
        expected = f"{abs(rounded) if rounded.is_zero() else rounded:,f}"
        assert written("number", "en", f"{value:f}", digits) == expected

    @each("name", ["currency", "number", "percent", "plural"])
    @each(
        "value",
        [
            True,
            False,
            "",
            " 1",
            "1 ",
            "1\n",
            "+1",
            "1,5",
            "1e5",
            ".5",
            "5.",
            "--1",
            "0x1",
            "1_000",
            "\u0661",
            "NaN",
            "Infinity",
            "1" * 31,
            f"1.{'1' * 31}",
            float("nan"),
            float("inf"),
            float("-inf"),
            [1],
            {"a": 1},
            "987654321 EUR",
        ],
    )
    def test_values_that_are_no_numbers_are_refused(self, name: str, value: object) -> None:
        """Truth values, numbers of other notations, and more than 30 digits."""
        message = refused(InputError, name, "en", value, **arguments_of(name))
        assert "expected a number" in message
        assert "987654321" not in message

    @each("value", [10**30, -(10**30), 1e30, 1.7e308, 10**4000])
    def test_numbers_are_bounded(self, value: object) -> None:
        """So that the output is."""
        for name in ("currency", "number", "percent", "plural"):
            assert "10**30" in refused(InputError, name, "en", value, **arguments_of(name))

    @each("name", ["currency", "number", "percent"])
    @each("digits", [-1, 11, 2.0, "2", True, [], 10**100])
    def test_digits_are_0_to_10(self, name: str, digits: object) -> None:
        """A whole number, which neither text nor true is."""
        named = {**arguments_of(name), "digits": digits}
        assert "0 to 10" in refused(ArgumentError, name, "en", 1, **named)


def arguments_of(name: str) -> dict[str, Any]:
    """Return the arguments that a filter cannot do without."""
    needed: dict[str, dict[str, Any]] = {"currency": {"code": "EUR"}, "plural": EVERY_FORM}
    return needed.get(name, {})


class TestDates:
    """Dates and times."""

    @each(
        ("language", "day", "weeks"),
        [
            ("de", "2027-06-15", "24 2027 2"),
            ("de-DE", "2027-06-15", "24 2027 2"),
            ("de", "2027-01-01", "53 2026 5"),
            ("fr", "2027-01-01", "53 2026 5"),
            ("en", "2026-03-09", "11 2026 2"),
            ("en-US", "2026-03-09", "11 2026 2"),
            ("en-GB", "2026-03-09", "11 2026 1"),
            ("sr-Latn", "2027-01-01", "1 2027 5"),
            ("ar", "2027-01-01", "1 2027 7"),
            ("zh-Hant", "2027-01-01", "1 2027 6"),
            ("pt", "2027-01-01", "1 2027 6"),
        ],
    )
    def test_weeks_are_those_of_the_region_that_a_language_is_likely_of(
        self, language: str, day: str, weeks: str
    ) -> None:
        """Germany's first week has four days; a language without a region is of its likely one."""
        assert written("date", language, day, "w Y e") == weeks

    @each(
        ("language", "medium", "full", "moment"),
        [
            ("en", "Jan 31, 2026", "Saturday, January 31, 2026", f"1/31/26, 2:30{NARROW}PM"),
            ("de", "31.01.2026", "Samstag, 31. Januar 2026", "31.01.26, 14:30"),
            ("fr", "31 janv. 2026", "samedi 31 janvier 2026", "31/01/2026 14:30"),
            ("pl", "31 sty 2026", "sobota, 31 stycznia 2026", "31.01.2026, 14:30"),
            (
                "ar",
                f"31{RLM}/01{RLM}/2026",
                "السبت، 31 يناير 2026",
                f"31{RLM}/1{RLM}/2026، 2:30 م",
            ),
            ("cy", "31 Ion 2026", "Dydd Sadwrn, 31 Ionawr 2026", "31/01/26 14:30"),
            ("ja", "2026/01/31", "2026年1月31日土曜日", "2026/01/31 14:30"),
            ("hi", "31 जन॰ 2026", "शनिवार, 31 जनवरी 2026", "31/1/26, 2:30 pm"),
            (
                "pt-BR",
                "31 de jan. de 2026",
                "sábado, 31 de janeiro de 2026",
                "31/01/2026 14:30",
            ),
            ("zh-Hant", "2026年1月31日", "2026年1月31日 星期六", "2026/1/31 下午2:30"),
        ],
    )
    def test_each_language_has_its_own_way(
        self, language: str, medium: str, full: str, moment: str
    ) -> None:
        """Order, names, and the halves of the day."""
        value = "2026-01-31T14:30:00Z"
        assert written("date", language, "2026-01-31") == medium
        assert written("date", language, value, "full") == full
        assert written("datetime", language, value, "short") == moment
        assert moment.endswith(written("time", language, value))

    @each(
        ("zone", "language", "expected"),
        [
            ("Asia/Kolkata", "en", "India Standard Time"),
            ("Asia/Calcutta", "en", "India Standard Time"),
            ("Asia/Kolkata", "de", "Indische Normalzeit"),
            ("America/Argentina/Buenos_Aires", "en", "Argentina Standard Time"),
            ("America/Buenos_Aires", "es-AR", "hora estándar de Argentina"),
            ("Asia/Kathmandu", "en", "Nepal Time"),
            ("Asia/Ho_Chi_Minh", "en", "Indochina Time"),
            ("Europe/Kyiv", "en", "Eastern European Standard Time"),
            ("UTC", "en", "Coordinated Universal Time"),
        ],
    )
    def test_a_renamed_zone_has_its_name(self, zone: str, language: str, expected: str) -> None:
        """CLDR's metazones know many zones by their oldest names only."""
        assert written("time", language, "2026-01-05T12:00:00Z", "full", zone).endswith(expected)

    @each(
        ("language", "expected"),
        [
            ("de", "31. Januar 2026, 13:30:00 MEZ"),
            ("en", f"January 31, 2026, 1:30:00{NARROW}PM GMT+1"),
            ("ja", "2026年1月31日 13:30:00 GMT+1"),
        ],
    )
    def test_the_longer_formats_tell_the_time_zone(self, language: str, expected: str) -> None:
        """By its name where CLDR has one for the language."""
        text = written("datetime", language, "2026-01-31T12:30:00Z", "long", "Europe/Berlin")
        assert text == expected

    @each(
        ("pattern", "expected"),
        [
            ("d MMMM yyyy", "31 Januar 2026"),
            ("EEEE, d.M.yy", "Samstag, 31.1.26"),
            ("yyyyMMdd", "20260131"),
            ("'KW' w/YYYY", "KW 5/2026"),
            ("d. MMM 'o''clock' ''yy", "31. Jan. o'clock '26"),
            ("QQQ y %d", "Q1 2026 %31"),
            ("D", "31"),
        ],
    )
    def test_a_date_can_have_a_pattern(self, pattern: str, expected: str) -> None:
        """Unicode Technical Standard 35, part 4: letters are fields, quoted text stays."""
        assert written("date", "de", "2026-01-31", pattern) == expected
        assert written("datetime", "de", NOON, format=pattern) == expected

    @each(
        ("pattern", "expected"),
        [
            ("HH:mm", "14:05"),
            ("h a", "2 PM"),
            ("H 'h' mm", "14 h 05"),
            ("HH:mm:ss xxx", "14:05:09 +01:00"),
            ("zzzz", "Central European Standard Time"),
        ],
    )
    def test_a_time_can_have_a_pattern(self, pattern: str, expected: str) -> None:
        """With fields of the time of day and of the time zone."""
        value = "2026-01-31T13:05:09Z"
        assert written("time", "en", value, pattern, "Europe/Berlin") == expected
        assert written("datetime", "en", value, pattern, timezone="Europe/Berlin") == expected

    @each("name", ["date", "time", "datetime"])
    @each(
        "pattern",
        [
            "",
            " ",
            "Medium",
            "longest",
            "'",
            "''",
            "'d'",
            "d 'M",
            "H 'Uhr",
            "dd'",
            "ddd",
            "MMMMMM",
            "HHH",
            "d MMMM j",
            "H:mm n",
            "g",
            "O",
            "SSS",
            "A",
            "B",
            "V",
            "{0}",
            "d" * 101,
            f"d '{'x' * 100}'",
            None,
            1,
            ["d"],
        ],
    )
    def test_a_pattern_that_is_none_is_refused(self, name: str, pattern: object) -> None:
        """Unknown names, open quotes, unknown letters, wrong lengths, no field, and no text."""
        message = refused(ArgumentError, name, "en", NOON, pattern)
        assert "short, medium, long, full" in message

    def test_a_date_has_no_time_and_a_time_has_no_date(self) -> None:
        """Midnight would be shown for a date that has no time."""
        assert "fields out of" in refused(ArgumentError, "date", "en", NOON, "d.M. HH:mm")
        assert "fields out of" in refused(ArgumentError, "date", "en", NOON, "d z")
        assert "fields out of" in refused(ArgumentError, "time", "en", NOON, "d.M. HH:mm")
        assert written("datetime", "en", NOON, "d.M. HH:mm") == "31.1. 12:00"

    @each(
        "value",
        [
            "2026-01-31T23:30:00Z",
            "2026-01-31T23:30:00",
            "2026-01-31 23:30:00",
            "2026-01-31T23:30",
            "2026-02-01T00:30:00+01:00",
            "2026-01-31T18:30:00.250-05:00",
        ],
    )
    def test_an_instant_is_brought_into_the_time_zone(self, value: str) -> None:
        """Whatever its offset; without one it is UTC."""
        text = written("datetime", "en", value, "yyyy-MM-dd HH:mm", "Europe/Berlin")
        assert text == "2026-02-01 00:30"
        assert written("date", "en", value, "yyyy-MM-dd", "Europe/Berlin") == "2026-02-01"
        assert written("time", "en", value, "HH:mm", "Europe/Berlin") == "00:30"
        assert written("date", "en", value, "yyyy-MM-dd") == "2026-01-31"

    def test_a_date_is_the_same_day_everywhere(self) -> None:
        """It is no instant."""
        for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
            assert written("date", "en", "2026-01-31", timezone=zone) == "Jan 31, 2026"

    @each(
        ("instant", "local"),
        [
            ("2026-03-29T00:59:59Z", "01:59:59 MEZ +0100"),
            ("2026-03-29T01:00:00Z", "03:00:00 MESZ +0200"),
            ("2026-10-25T00:00:00Z", "02:00:00 MESZ +0200"),
            ("2026-10-25T00:59:59Z", "02:59:59 MESZ +0200"),
            ("2026-10-25T01:00:00Z", "02:00:00 MEZ +0100"),
            ("2026-10-25T02:00:00Z", "03:00:00 MEZ +0100"),
        ],
    )
    def test_the_clock_changes_where_it_does(self, instant: str, local: str) -> None:
        """Berlin, 2026: on 29 March and 25 October at 01:00 UTC."""
        assert written("time", "de", instant, "HH:mm:ss z Z", "Europe/Berlin") == local
        text = written("datetime", "de", instant, "HH:mm:ss z Z", "Europe/Berlin")
        assert text == local

    @each(
        ("instant", "text"),
        [
            ("2026-01-15T12:00:00Z", "12:00 GMT, Greenwich Mean Time"),
            ("2026-07-15T12:00:00Z", "13:00 GMT+1, Irish Standard Time"),
        ],
    )
    def test_irish_summer_time_is_irish_standard_time(self, instant: str, text: str) -> None:
        """The database counts winter as the saving of daylight, with less than no hour."""
        assert written("time", "en", instant, "HH:mm z, zzzz", "Europe/Dublin") == text

    @each(
        ("zone", "offset"),
        [
            ("America/St_Johns", "-03:30"),
            ("Pacific/Marquesas", "-09:30"),
            ("America/New_York", "-05:00"),
            ("Asia/Kathmandu", "+05:45"),
        ],
    )
    def test_offsets_may_be_half_hours(self, zone: str, offset: str) -> None:
        """West of Greenwich too."""
        assert written("time", "en", NOON, "xxx", zone) == offset
        assert written("datetime", "en", NOON, "ZZZZ", zone) == f"GMT{offset}"

    @QUICK
    @given(
        st.datetimes(dt.datetime(1000, 1, 2), dt.datetime(9999, 12, 30), timezones=st.just(dt.UTC)),  # noqa: DTZ001 - bounds of Hypothesis's have no zone
        st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"]),
    )
    def test_the_fields_are_those_of_the_local_time(self, moment: dt.datetime, zone: str) -> None:
        """The standard library's calendar is the oracle."""
        local = moment.astimezone(ZoneInfo(zone))
        text = written("datetime", "en", moment.isoformat(), "yyyy-MM-dd HH:mm:ss", zone)
        assert text == local.strftime("%Y-%m-%d %H:%M:%S")
        assert written("date", "en", moment.isoformat(), "yyyy-MM-dd", zone) == text[:10]
        assert written("time", "en", moment.isoformat(), "HH:mm:ss", zone) == text[11:]

    @each("name", ["date", "time", "datetime"])
    @each(
        "zone",
        [
            "",
            "Berlin",
            "europe/berlin",
            "Europe",
            "Europe/",
            "../x",
            "../../etc/passwd",
            "/etc/localtime",
            "Europe/../Europe/Berlin",
            "localtime",
            "posix/Europe/Berlin",
            "zone.tab",
            "+01:00",
            "a\0b",
            "x" * 10_000,
            None,
            1,
            ["UTC"],
            "\ud800",
        ],
    )
    def test_a_time_zone_is_of_the_iana_database(self, name: str, zone: object) -> None:
        """A name in it, exactly; no file is looked for by any other."""
        assert "IANA" in refused(ArgumentError, name, "en", NOON, timezone=zone)

    @each("name", ["date", "time", "datetime"])
    @each(
        "value",
        [
            "",
            "31.01.2026",
            "2026-02-30T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-31T25:00:00Z",
            "2026-01-31T12:00:00Zulu",
            "2026-01-31Tnoon",
            "2026-W05-6",
            "20260131",
            "0000-01-01T00:00:00Z",
            "tomorrow",
            f"2026-01-31T12:00:00.{'0' * 1000}",
            "2026-01-31T12:00\ud800",
            1769860800,
            1769860800.5,
            True,
            [],
            {},
        ],
    )
    def test_values_that_are_no_dates_are_refused(self, name: str, value: object) -> None:
        """ISO 8601 and nothing else, as a declared variable of type date or datetime has it."""
        message = refused(InputError, name, "en", value)
        assert "2026-01-31" in message
        assert message.startswith("expected ")

    @each("name", ["time", "datetime"])
    def test_a_date_alone_has_no_time(self, name: str) -> None:
        """It is not taken for midnight."""
        assert "expected a time" in refused(InputError, name, "en", "2026-01-31")

    @each("name", ["date", "time", "datetime"])
    @each(
        ("value", "zone"),
        [
            ("0001-01-01T00:00:00Z", "America/New_York"),
            ("9999-12-31T23:59:59Z", "Europe/Berlin"),
            ("9999-12-31T23:59:59-05:00", "UTC"),
        ],
    )
    def test_the_calendar_ends(self, name: str, value: str, zone: str) -> None:
        """Python's has the years 1 to 9999."""
        assert "1 to 9999" in refused(InputError, name, "en", value, timezone=zone)

    def test_the_last_day_is_written_where_it_can_be(self) -> None:
        """Some systems write "for ever" so; its week may be of the year 10000."""
        assert written("date", "de", "9999-12-31") == "31.12.9999"
        assert "1 to 9999" in refused(InputError, "date", "en", "9999-12-31", "w")


class TestPlural:
    """Forms by number."""

    @each(
        ("language", "category", "values"),
        [
            ("en", "one", [1, 1.0, -1, "1"]),
            ("en", "other", [0, 2, 1.5, "1.0", 11, 101]),
            ("fr", "one", [0, 1, 1.5, "1.99"]),
            ("fr", "other", [2, 10, 999999, 1000001]),
            ("fr", "many", [1000000, 5000000]),
            ("pl", "one", [1]),
            ("pl", "few", [2, 3, 4, 22, 23, 24, 32, 102, 104]),
            ("pl", "many", [0, 5, 9, 10, 11, 12, 13, 14, 15, 20, 21, 25, 101, 111, 112, 114, 1000]),
            ("pl", "other", [0.5, 1.5, "1.0", "2.00"]),
            ("ar", "zero", [0, "0.0"]),
            ("ar", "one", [1, "1.0"]),
            ("ar", "two", [2]),
            ("ar", "few", [3, 4, 10, 103, 110, 1003]),
            ("ar", "many", [11, 26, 99, 111, 199, 1011]),
            ("ar", "other", [100, 101, 102, 200, 201, 1000, 0.5, 1.5, 10.1]),
            ("cy", "zero", [0]),
            ("cy", "one", [1]),
            ("cy", "two", [2]),
            ("cy", "few", [3]),
            ("cy", "many", [6]),
            ("cy", "other", [4, 5, 7, 10, 13, 16, 100, 1.5]),
            ("ja", "other", [0, 1, 2, 5, 100, 1.5]),
            ("hi", "one", [0, 1, 0.5]),
            ("hi", "other", [2, 10, 1.5]),
            ("pt-BR", "one", [0, 1, 1.5]),
            ("pt-BR", "other", [2, 10]),
            ("zh-Hant", "other", [0, 1, 2]),
            ("cs", "many", [1.5, "1.0"]),
        ],
    )
    def test_the_category_is_cldrs(
        self, language: str, category: str, values: list[object]
    ) -> None:
        """CLDR's table of cardinal rules; digits that are shown count, so "1.0" is not 1."""
        categories = {
            repr(value): written("plural", language, value, **EVERY_FORM) for value in values
        }
        assert categories == dict.fromkeys(categories, category)

    @each(
        ("language", "value", "expected"),
        [
            ("en", 1, "1 article"),
            ("en", 1234, "1,234 articles, 1,234"),
            ("de", 1234.5, "1.234,5 articles, 1.234,5"),
            ("en", "1.50", "1.50 articles, 1.50"),
            ("fr", 1000000, f"1{NARROW}000{NARROW}000 articles, 1{NARROW}000{NARROW}000"),
        ],
    )
    def test_the_number_takes_the_place_of_its_sign(
        self, language: str, value: object, expected: str
    ) -> None:
        """Each ``#`` in the form, written as the language does, with the digits that counted."""
        forms = {"one": "# article", "other": "# articles, #"}
        assert written("plural", language, value, **forms) == expected

    def test_forms_are_text_and_nothing_more(self) -> None:
        """Braces, backslashes and percent signs stay; text of another class becomes text."""
        form = Text("{0} \\1 %s <b>")
        assert written("plural", "en", 2, one=form, other=form) == "{0} \\1 %s <b>"

    @each(
        ("language", "missing"),
        [
            ("pl", "few, many"),
            ("ru", "few, many"),
            ("cs", "few"),
            ("ar", "zero, two, few, many"),
            ("cy", "zero, two, few, many"),
            ("sl", "two, few"),
            ("he", "two"),
        ],
    )
    def test_a_form_that_is_missing_is_named(self, language: str, missing: str) -> None:
        """Whatever the number: a preview with 1 would not show it."""
        for value in (1, 1000, "nonsense", None):
            message = refused(
                ArgumentError, "plural", language, value, one="# article", other="# articles"
            )
            assert message == f"{language} also needs {missing}"

    @each("language", ["en", "de", "fr", "hi", "pt-BR", "it", "es", "sv"])
    def test_one_and_other_are_enough_for_many_languages(self, language: str) -> None:
        """French ``many`` begins at a million; ``other`` takes its place."""
        assert written("plural", language, 1000000, one="one", other="other") == "other"

    @each("language", ["ja", "zh-Hant", "ko", "th"])
    def test_other_is_enough_where_there_is_nothing_else(self, language: str) -> None:
        """Forms that the language does not have do no harm."""
        assert written("plural", language, 1, other="#") == "1"
        assert written("plural", language, 1, one="one", other="other") == "other"

    def test_a_fraction_may_need_a_form_of_its_own(self) -> None:
        """In Polish only fractions are ``other``, and a template may do without."""
        forms = {"one": "#", "few": "#", "many": "#"}
        assert written("plural", "pl", 5, **forms) == "5"
        assert "form other" in refused(InputError, "plural", "pl", 1.5, **forms)
        assert written("plural", "pl", 1.5, **forms, other="# artykułu") == "1,5 artykułu"

    @each(
        "forms",
        [{}, {"One": "x"}, {"one": "x", "other": "x", "several": "x"}, {"value": "x"}],
    )
    def test_other_names_are_no_forms(self, forms: dict[str, Any]) -> None:
        """CLDR has six categories."""
        message = refused(ArgumentError, "plural", "en", 1, **forms)
        assert "zero, one, two, few, many, other" in message

    @each("form", [None, 1, [], {}, True, "x" * 2001])
    def test_a_form_is_text_of_at_most_2000_characters(self, form: object) -> None:
        """Its length bounds the output, as each of its characters may become a number."""
        assert "2000" in refused(ArgumentError, "plural", "en", 2, one=form, other="x")
        longest = written("plural", "en", 10**30 - 1, one="x", other="# " * 1000)
        assert len(longest) - 1000 == 1000 * len("999,999,999,999,999,999,999,999,999,999")


class Text(str):
    """Text of another class, which stays of it, as engines mark safe text."""

    __slots__ = ()

    def replace(self, old: str, new: str, count: SupportsIndex = -1) -> "Text":
        """Return text of this class."""
        return Text(super().replace(old, new, count))


class TestList:
    """Lists in words."""

    @each(
        ("language", "together", "either", "measure", "two"),
        [
            ("en", "a, b, and c", "a, b, or c", "a, b, c", "a and b"),
            ("de", "a, b und c", "a, b oder c", "a, b und c", "a und b"),
            ("fr", "a, b et c", "a, b ou c", "a, b et c", "a et b"),
            ("pl", "a, b i c", "a, b lub c", "a, b i c", "a i b"),
            ("ar", "a وb وc", "a أو b أو c", "a، وb، وc", "a وb"),
            ("cy", "a, b, a(c) c", "a, b neu c", "a, b, c", "a a(c) b"),
            ("ja", "a、b、c", "a、b、またはc", "a b c", "a、b"),
            ("hi", "a, b, और c", "a, b या c", "a, b, और c", "a और b"),
            ("pt-BR", "a, b e c", "a, b ou c", "a, b e c", "a e b"),
            ("zh-Hant", "a、b和c", "a、b或c", "a b c", "a和b"),
            ("af", "a, b en c", "a, b of c", "a, b, c", "a en b"),
        ],
    )
    def test_each_language_has_its_own_way(
        self, language: str, together: str, either: str, measure: str, two: str
    ) -> None:
        """Commas, words, and the spaces between them."""
        items = ["a", "b", "c"]
        assert written("list", language, items) == together
        assert written("list", language, items, "and") == together
        assert written("list", language, items, style="or") == either
        assert written("list", language, items, "unit") == measure
        assert written("list", language, tuple(items[:2])) == two

    @each(
        ("items", "expected"),
        [
            ([], ""),
            (["a"], "a"),
            (["a", "b", "c", "d", "e"], "a, b, c, d und e"),
            ([1234.5, "1234.5", 2], "1.234,5, 1234.5 und 2"),
            (["{0}", "{1} {", "%s"], "{0}, {1} { und %s"),
            ([Text("<b>")], "<b>"),
            (["", ""], " und "),
        ],
    )
    def test_items_are_text_and_numbers(self, items: list[object], expected: str) -> None:
        """Numbers are written as the language does; text stays what it is."""
        assert written("list", "de", items) == expected

    @each(
        ("language", "items", "style", "expected"),
        [
            ("es", ["Ada", "Inés"], "and", "Ada e Inés"),
            ("es-MX", ["a", "b", "hijos"], "and", "a, b e hijos"),
            ("es", ["padre", "hielo"], "and", "padre y hielo"),
            ("es", ["padre", "Íñigo"], "and", "padre e Íñigo"),
            ("es", ["uno", "ocho"], "or", "uno u ocho"),
            ("es", ["uno", "hoy", "mañana"], "or", "uno, hoy o mañana"),
            ("es", [7, 8], "or", "7 u 8"),
            ("es", [10, 11], "or", "10 u 11"),
            ("es", [10, 110], "or", "10 o 110"),
            ("es", ["a", "ocho"], "and", "a y ocho"),
            ("pt", ["a", "i"], "and", "a e i"),
            ("he", ["אדה", "Grace"], "and", "אדה \u05d5-Grace"),
            ("he", ["אדה", "נועה"], "and", "אדה ונועה"),
            ("he", ["אדה", 3], "and", "אדה \u05d5-3"),
        ],
    )
    def test_the_word_before_the_last_item_fits_it(
        self, language: str, items: list[object], style: str, expected: str
    ) -> None:
        """As ICU writes it: in Spanish by its sound, in Hebrew by its script."""
        assert written("list", language, items, style) == expected

    @each("items", [[True], ["a", None], [["a"]], [{"a": 1}]])
    def test_other_items_are_refused(self, items: list[object]) -> None:
        """What they would look like is not for a filter to guess."""
        assert "text and numbers" in refused(InputError, "list", "en", items)

    @each("value", ["abc", 1, True, {"a": "b"}])
    def test_values_that_are_no_arrays_are_refused(self, value: object) -> None:
        """Text is no array of its characters."""
        assert "expected an array" in refused(InputError, "list", "en", value)

    def test_lists_are_bounded(self) -> None:
        """In items and in characters: the time goes with the product of both."""
        assert written("list", "en", ["x" * 100] * 1000).count("x") == 100_000
        assert "1000 items" in refused(InputError, "list", "en", ["x"] * 1001)
        assert "100000 characters" in refused(InputError, "list", "en", ["x" * 50_001] * 2)

    @each("style", ["", "AND", "standard", "unit-short", None, 1, ["and"]])
    def test_a_style_is_one_of_three(self, style: object) -> None:
        """They are named."""
        assert "and, or, unit" in refused(ArgumentError, "list", "en", [], style)


class TestLanguages:
    """From a tag to what CLDR has."""

    @each(
        ("tag", "like", "month"),
        [
            ("en-AQ", "en", "January"),
            ("de-AT", "de-AT", "Jänner"),
            ("de-DE-1996", "de", "Januar"),
            ("de-u-co-phonebk", "de", "Januar"),
            ("en-x-foo", "en", "January"),
            ("sr", "sr", "јануар"),
            ("sr-Latn", "sr-Latn", "januar"),
            ("zh-TW", "zh-Hant", "1月"),
            ("zh-Hant-AQ", "zh-Hant", "1月"),
            ("no", "nb", "januar"),
            ("es-419", "es-MX", "enero"),
        ],
    )
    def test_an_unknown_locale_falls_back_to_its_parent(
        self, tag: str, like: str, month: str
    ) -> None:
        """Of a tag's subtags the last are the least."""
        assert written("date", tag, "2026-01-31", "MMMM") == month
        assert written("list", tag, ["a", "b"]) == written("list", like, ["a", "b"])

    def test_regions_differ(self) -> None:
        """Of one language."""
        texts = [written("number", tag, 1234567.5) for tag in ("de", "de-CH")]
        assert texts == ["1.234.567,5", "1\u2019234\u2019567.5"]
        assert written("date", "en-GB", "2026-01-31", "short") == "31/01/2026"

    @each("name", NAMES)
    @each("tag", ["tlh", "tlh-Latn", "xx", "mul", "", "-", "../de"])
    def test_a_language_without_data_is_refused(self, name: str, tag: str) -> None:
        """No other language takes its place."""
        value = {"list": ["a", "b"], "date": NOON, "time": NOON, "datetime": NOON}.get(name, 1)
        message = refused(ArgumentError, name, tag, value, **arguments_of(name))
        assert message == "no locale data for this language"

    @settings(max_examples=20, deadline=None)
    @given(
        st.permutations(["he", "ar", "cs", "de", "en-GB", "fi", "fr", "fr-CA", "nl", "ro", "ru"])
    )
    def test_no_language_has_the_names_of_another_that_was_used_before(
        self, languages: list[str]
    ) -> None:
        """Babel keeps what they inherit in one place: after Hebrew, French had Hebrew months."""
        pattern = "LLLL LLL MMMM cccc ccc EEEE QQQQ qqqq"

        def names(language: str) -> str:
            return written("date", language, "2026-03-05", pattern)

        locale_of.cache_clear()
        together = [names(language) for language in languages]
        for language, text in zip(languages, together, strict=True):
            locale_of.cache_clear()
            localedata._cache.clear()
            assert names(language) == text

    def test_only_so_many_locales_are_held(self) -> None:
        """One process serves all languages, and its memory is bounded."""
        tags = sorted(tag for tag in localedata.locale_identifiers() if "_" not in tag)[:100]
        assert len(tags) == 100
        for tag in tags:
            written("number", tag, 1)
        assert locale_of.cache_info().currsize < 70
        assert not localedata._cache
        assert written("number", "de", 1234.5) == "1.234,5"


class TestCalls:
    """Arguments as templates may give them."""

    @each("name", [name for name in NAMES if name != "plural"])
    def test_a_value_that_is_missing_is_told(self, name: str) -> None:
        """The engine gives None for what is undefined or null."""
        message = refused(InputError, name, "en", None, **arguments_of(name))
        assert message == "a value is missing: it is undefined or null"

    def test_a_count_that_is_missing_is_told(self) -> None:
        """Once the forms are complete."""
        message = refused(InputError, "plural", "en", None, one="#", other="#")
        assert message == "a value is missing: it is undefined or null"

    @each(
        ("name", "arguments", "named"),
        [
            ("currency", [], {}),
            ("currency", ["EUR", 2, 3], {}),
            ("currency", ["EUR"], {"code": "EUR"}),
            ("currency", ["EUR"], {"value": 1}),
            ("currency", ["EUR"], {"language": "de"}),
            ("number", [1, 2], {}),
            ("number", [], {"places": 2}),
            ("percent", [], {"": 1}),
            ("date", ["short", "UTC", "x"], {}),
            ("time", [], {"tz": "UTC"}),
            ("datetime", ["short"], {"format": "short"}),
            ("plural", ["# article"], {"other": "x"}),
            ("list", ["and", "or"], {}),
            ("list", [], {"last": "and"}),
        ],
    )
    def test_a_call_that_does_not_fit_is_the_templates_fault(
        self, name: str, arguments: list[object], named: dict[str, Any]
    ) -> None:
        """Too many, too few, twice, or by an unknown name; before the value is read."""
        for value in (1, None):
            assert "expected" in refused(ArgumentError, name, "en", value, *arguments, **named)

    @each("name", NAMES)
    def test_an_argument_is_told_before_the_value(self, name: str) -> None:
        """A preview without values shows what the author has to mend."""
        wrong: dict[str, dict[str, Any]] = {
            "currency": {"code": "eur"},
            "number": {"digits": 11},
            "percent": {"digits": 11},
            "plural": {"other": 1},
            "list": {"style": "x"},
        }
        refused(ArgumentError, name, "en", None, **wrong.get(name, {"timezone": "x"}))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(["12.50", "2026-01-31", NOON, "1", "0001-01-01", "9999-12-31T23:59:59Z"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
ARGUMENT = JSON | st.sampled_from(
    ["EUR", "JPY", "short", "full", "d. MMMM yyyy", "HH:mm z", "w", "Europe/Berlin", "or", "# x", 2]
)
KEYWORD = st.sampled_from(
    ["code", "digits", "format", "timezone", "style", "value", "language", "x", *CATEGORIES]
)


class TestWhatever:
    """Rules that hold for all values and arguments."""

    @settings(max_examples=150, deadline=None)
    @given(
        st.sampled_from(NAMES),
        st.sampled_from([*LANGUAGES, "en-AQ", "tlh"]),
        JSON,
        st.lists(ARGUMENT, max_size=3),
        st.dictionaries(KEYWORD, ARGUMENT, max_size=3),
    )
    def test_nothing_but_a_filter_error_comes_out(
        self,
        name: str,
        language: str,
        value: object,
        arguments: list[object],
        named: dict[str, Any],
    ) -> None:
        """Text of bounded size, or an error that begins with the filter's name."""
        try:
            text = FILTERS[name](language, value, *arguments, **named)
        except FilterError as error:
            reported = type(error), str(error).partition(": ")[0]
            assert reported in {(ArgumentError, name), (InputError, name)}
        else:
            assert type(text) is str
            assert len(text) <= 200_000

    @QUICK
    @given(
        st.sampled_from(NAMES),
        st.text(st.sampled_from("1.-:TZ d'#") | st.characters(codec="utf-8"), max_size=20).map(
            lambda text: f"{text}{MARK}{text}"
        ),
        KEYWORD,
    )
    def test_no_message_holds_a_value(self, name: str, secret: str, keyword: str) -> None:
        """Wherever it is given: as the value, within it, or as an argument."""
        calls: list[tuple[object, dict[str, Any]]] = [
            (secret, arguments_of(name)),
            ({secret: secret}, arguments_of(name)),
            ([{secret: secret}], arguments_of(name)),
            (1, {keyword: secret}),
            (NOON, {keyword: [secret]}),
            (1, {secret: secret}),
        ]
        for value, named in calls:
            try:
                FILTERS[name]("en", value, **named)
            except FilterError as error:
                assert MARK not in str(error)  # noqa: PT017 - some of the calls are good
                assert MARK not in repr(error)  # noqa: PT017 - the same

    @QUICK
    @given(
        st.sampled_from(LANGUAGES),
        st.integers(-(10**30) + 1, 10**30 - 1) | st.floats(-1e29, 1e29),
        st.sampled_from(["EUR", "USD", "JPY", "KWD", "CHF"]),
        st.none() | st.integers(0, 10),
    )
    def test_a_number_is_a_short_line(
        self, language: str, value: float, code: str, digits: int | None
    ) -> None:
        """Fit for a subject: no control that :func:`one_line` would take out of it."""
        for text in (
            written("currency", language, value, code, digits),
            written("number", language, value, digits),
            written("percent", language, value, digits),
        ):
            assert one_line(text) == text
            assert len(text) < 80
            assert text.isprintable() or {c for c in text if not c.isprintable()} <= {
                NBSP,
                NARROW,
                LRM,
                RLM,
            }

    @QUICK
    @given(st.sampled_from(LANGUAGES), st.integers(-(10**30) + 1, 10**30 - 1))
    def test_all_digits_of_a_whole_number_are_written(self, language: str, value: int) -> None:
        """In order, whatever stands between them."""
        text = written("number", language, value)
        assert "".join(c for c in text if c.isdecimal()) == str(abs(value))
        assert ("-" in text) is (value < 0)
        forms = dict.fromkeys(CATEGORIES, "#")
        assert written("plural", language, value, **forms) == text
        assert written("list", language, [value]) == text
