"""Calls of locale filters that the publish gate refuses, since readers would see something else."""

from tasks.rendering.filter_checks import problems
from tests.support.cases import each


def refused(source: str, language: str = "en") -> list[str]:
    """Return the messages about a source, without the filter's name."""
    return [each["message"] for each in problems(source, language, "body")]


@each(
    ("call", "words"),
    [
        ('date("dd.MM.YYYY")', "write y, or add w"),
        ("date('dd.MM.YYYY')", "write y, or add w"),
        ('date(format="dd.MM.YYYY")', "write y, or add w"),
        ('date(timezone="Europe/Berlin", format="YYYY")', "write y, or add w"),
        ('datetime("YYYY-MM-dd HH:mm")', "write y, or add w"),
        ('date("dd.MM.YYYY (ww)")', "write y"),
        ('date("D/YYYY")', "write y"),
        ('date("ww/yyyy")', "write YYYY"),
        ('date("DD.MM.yyyy")', "write d"),
        ('datetime("dd.mm.yyyy")', "write M for the month"),
        ('datetime("dd.MM.yyyy HH:MM")', "write m for minutes"),
        ("datetime(\"HH'h'MM\")", None),
        ('time("hh:mm")', "write H, or add a"),
        ('time("h:mm a")', None),
        ('time("HH:mm")', None),
        ('time("mm:ss")', "add the hours"),
        ("date(\"YYYY-'W'ww\")", None),
        ("date(\"YYYY-'W'ww-e\")", None),
        ("date(\"yyyy, 'YYYY'\")", None),
        ('date("yyyy-D")', None),
        ('date("long")', None),
        ("date(pattern)", None),
        ("date", None),
    ],
)
def test_a_pattern_that_says_something_else_is_refused(call: str, words: str | None) -> None:
    """Week-based years, days of years, months for minutes: right on most days, wrong on some."""
    messages = refused(f"{{{{ day | {call} }}}}")
    assert bool(messages) is (words is not None), messages
    assert words is None or words in messages[0]
    assert not refused("{% raw %}" + f"{{{{ day | {call} }}}}" + "{% endraw %}")


def test_a_refused_call_has_its_place() -> None:
    """Where the filter stands, in every branch, which no trial render comes to."""
    source = 'Hi\n{% if big %}{{ x | date("YYYY") }}{% endif %}{{ x|date("y") }}'
    (problem,) = problems(source, "en", "body")
    assert (problem["path"], problem["line"], problem["column"]) == ("body", 2, 20)
    assert problem["message"].startswith("date: ")
    assert refused('{% filter date("YYYY") %}2026-01-01{% endfilter %}')


@each(
    ("language", "forms", "named"),
    [
        ("en", ("zero", "one", "other"), "zero in en"),
        ("de", ("one", "few", "other"), "few in de"),
        ("de", ("one", "two", "many", "other"), "two, many in de"),
        ("ja", ("one", "other"), "one in ja"),
        ("zh-Hant", ("zero", "other"), "zero in zh-Hant"),
        ("pl", ("one", "two", "few", "many", "other"), "two in pl"),
        ("fr", ("one", "many", "other"), None),
        ("lv", ("zero", "one", "other"), None),
        ("ar", ("zero", "one", "two", "few", "many", "other"), None),
        ("he", ("one", "two", "other"), None),
        ("en", ("exactly_0", "one", "other"), None),
    ],
)
def test_a_form_that_no_number_takes_is_refused(
    language: str, forms: tuple[str, ...], named: str | None
) -> None:
    """Silently ignored, "no messages" would never be read."""
    arguments = ", ".join(f'{form}="# x"' for form in forms)
    messages = refused(f"{{{{ n | plural({arguments}) }}}}", language)
    assert bool(messages) is (named is not None), messages
    assert named is None or named in messages[0]


def test_ordinal_forms_have_categories_of_their_own() -> None:
    """English ranks have four, German ones only ``other``."""
    ranks = '{{ n | plural(ordinal=true, one="#st", two="#nd", few="#rd", other="#th") }}'
    assert not refused(ranks, "en")
    assert "one, two, few in de" in refused(ranks, "de")[0]


def test_forms_are_written_out() -> None:
    """Text from elsewhere may have a ``#`` that does not mean the number."""
    for call in (
        "one=label, other=label",
        'one="# x", other=labels.other',
        'one="a", other=f("#")',
    ):
        assert "as text in quotes" in refused(f"{{{{ n | plural({call}) }}}}")[0]
    assert not refused('{{ n | plural(one="# in " ~ room, other=("# in " ~ room)) }}')
