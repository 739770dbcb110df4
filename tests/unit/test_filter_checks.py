"""Calls of locale filters that the publish gate refuses, since readers would see something else."""

from tasks.rendering.checks.locale_filters import problems
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
        ('time("HH:mm a")', "write h for a.m. and p.m."),
        ('datetime("dd.MM.y H:mm a")', "or leave a out"),
        ('time("mm:ss")', "add the hours"),
        ("date(\"YYYY-'W'ww\")", None),
        ("date(\"YYYY-'W'ww-e\")", None),
        ("date(\"yyyy, 'YYYY'\")", None),
        ('date("yyyy-D")', None),
        ('date("d de MMMM de y")', "words in quotes"),
        ("date(\"d 'de' MMMM 'de' y\")", None),
        ('datetime("d. MMMM um HH:mm")', "words in quotes"),
        ('time("hh:mm am")', "words in quotes"),
        ('date("%d.%m.%y")', "fields of CLDR"),
        ("datetime(\"yyyyMMdd'T'HHmmss\")", None),
        ('time("h:mma")', None),
        ('date("EEEd/YYYYww")', "write y"),
        ("time('Europe/Berlin')", "timezone='Europe/Berlin'"),
        ("datetime('America/Argentina/Salta')", "a time zone has its name"),
        ('date("\'unclosed d")', "a quote has no end"),
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


@each(
    ("language", "pattern", "words"),
    [
        ("ru", "MMMM yyyy", "write LLLL"),
        ("ru", "LLLL yyyy", None),
        ("ru", "d MMMM yyyy", None),
        ("ru", "d. LLLL", "write MMMM"),
        ("uk", "MMMM", "write LLLL"),
        ("pl", "yyyy, MMMM", "write LLLL"),
        ("cs-CZ", "MMMM y", "write LLLL"),
        ("fi", "MMMM y", "write LLLL"),
        ("ca", "MMMM 'del' y", "write LLLL"),
        ("ru", "MMM y", None),
        ("ru", "MMMMM y", None),
        ("ru", "'MMMM' y", None),
        ("de", "MMMM y", None),
        ("de", "d. LLLL", None),
        ("kk", "MMMM y", None),
        ("tlh", "MMMM y", None),
    ],
)
def test_a_month_has_the_form_of_its_place(language: str, pattern: str, words: str | None) -> None:
    """Russian has another word form beside a day than alone; CLDR says which goes where."""
    messages = refused(f'{{{{ day | date("{pattern}") }}}}', language)
    assert bool(messages) is (words is not None), messages
    assert words is None or words in messages[0]


@each(
    ("language", "call", "words"),
    [
        ("en", "pluralize", None),
        ("en-GB", "pluralize()", None),
        ("en", "pluralize('y', 'ies')", None),
        ("en", "pluralize('es')", "write both"),
        ("de", "pluralize('', 'en')", None),
        ("de", "pluralize", "the s of English: write those of de"),
        ("es", "pluralize", "write those of es"),
        ("fr", "pluralize('', 's')", "not how fr counts"),
        ("ru", "pluralize('', 'ов')", "write plural"),
        ("ja", "pluralize", "write plural"),
        ("ar", "pluralize('', 's')", "write plural"),
        ("tlh", "pluralize('', 's')", None),
    ],
)
def test_endings_fit_the_nouns_of_the_language(language: str, call: str, words: str | None) -> None:
    """French counts 0 as it does 1, and Russian has three forms."""
    messages = refused(f"{{{{ n | {call} }}}}", language)
    assert bool(messages) is (words is not None), messages
    assert words is None or words in messages[0]


def test_forms_of_plural_are_not_mapped() -> None:
    """Neither with their names, nor without."""
    for arguments in ("'plural', one='# x', other='# xs'", "'plural', '# x', '# xs'"):
        (message,) = refused(f"{{{{ items | map({arguments}) | join }}}}")
        assert "write a loop" in message


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


@each(
    ("call", "named"),
    [
        ("map('currency', 'EUR', digits=0)", "digits"),
        ("map('date', format='long')", "format"),
        ("map('currency', 'EUR', 0)", None),
        ("map(attribute='name', default='?')", None),
        ("map('default', '?')", None),
    ],
)
def test_arguments_that_map_loses_are_refused(call: str, named: str | None) -> None:
    """The engine passes on arguments without names only."""
    messages = refused(f"{{{{ items | {call} | join }}}}")
    assert [message.partition(" is not")[0] for message in messages] == (
        [f"map: {named}"] if named else []
    )


@each(
    ("source", "words"),
    [
        ("{{ '{}' | format(n) }}", "more values than % signs"),
        ("{{ 'Hallo {name}, %s' | format(n, m) }}", "more values than % signs"),
        ("{{ '%s of %s' | format(n, m) }}", None),
        ("{{ '100%% %5.2f' | format(n) }}", None),
        ("{{ '%(a)s' | format(a=n) }}", None),
        ("{{ pattern | format(n) }}", None),
        (r"{{ n | plural(one='1 \#42', other='# \#42') }}", "write ## for one"),
        ("{{ n | plural(one='#', other=bold('#') ~ ' mails') }}", "as in bold(count)"),
        ("{{ n | plural(one='#', other='# in #' ~ id) }}", "write ## where it is not"),
        ("{{ n | plural(one='#', other='# in #' ~ '42') }}", "write ## where it is not"),
        ("{{ n | plural(one='#', other=id ~ '# mails') }}", "write ## where it is not"),
        ("{{ n | plural(one='#', other='# in ##' ~ id) }}", None),
        ("{{ n | plural(one='#', other=bold ~ '#' ~ end ~ ' mails') }}", None),
        ("{{ n | plural(one='#', other=name ~ ' # of #' ~ ' or more') }}", None),
        ("{{ n | plural(ordinal=true, one='#', two='#', few='#', other='The #' ~ th) }}", None),
        ("{{ n | plural(one='# ' ~ (t | replace('#', '')), other='#') }}", None),
    ],
)
def test_what_would_be_lost_or_shown_as_it_stands_is_refused(
    source: str, words: str | None
) -> None:
    """Values without a sign in a pattern, and signs that are not read as the number."""
    found = refused(source)
    assert (words in found[0]) if words else found == []
