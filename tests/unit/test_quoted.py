"""Quoted texts that readers would see as they stand."""

from tasks.rendering.checks.quoted import quoted, quoted_markup
from tasks.rendering.engine import Engine
from tasks.rendering.limits import Limits
from tasks.rendering.warnings import source_warnings
from tests.support.alarm import LONG, soon
from tests.support.cases import each

PLACEHOLDERS = (
    *('{{ "Hallo {{ name }}" }}', "{{ n | default('{{ a }}') }}", '{% set x = "{{ a }}!" %}'),
    '{{ n | plural(one="{{ n }} mail", other="{{n}} mails") }}',
    *("{% if '{{ a }}' == b %}x{% endif %}", "{{ button('Zahle {{ total }}') }}"),
    "{% for x in ['{{ a }}'] %}{{ x }}{% endfor %}",
)
MARKUP = (
    *("<p>{{ lines | join('<br>') }}</p>", "{{ lines | join('<br/>') }}", "{{ x ~ '</li><li>' }}"),
    *("{{ t | replace('\\n', '<br />') }}", "{{ n | default('<i>personne</i>') }}"),
    *("{{ '<b>да</b>' if a else '<b>нет</b>' }}", "{% set br = '<br>' %}{{ l | join(br) }}"),
    *("{{ n | plural(one='<b>#</b> plik', few='#', many='#', other='#') }}", "{{ '&nbsp;' ~ n }}"),
    *("{% for x in ['<li>a</li>'] %}{{ x }}{% endfor %}", "{{ l | join('&nbsp;&#8226;&nbsp;') }}"),
    *("{{ button('<b>Pay</b>') }}", "{{ 'Hi &amp; bye' }}", "{{ t | truncate(end='&hellip;') }}"),
    "{{ \"<a href='x'>%s</a>\" | format(n) }}",
)
FINE = (
    *("{{ t | replace('<br>', ' ') }}", "{% for x in t | split('<br>') %}{{ x }}{% endfor %}"),
    *("{% if '<br>' in t or t == '<p></p>' %}x{% endif %}", "{{ '<b>x</b>' | escape }}"),
    *("{{ '<b>x</b>' | striptags }}", "{{ '<b>x</b>' | tojson }}", "{{ 'a < b' }}{{ '<3' }}"),
    *("{{ 'AT&T; R&D' }}{{ 'x->y' }}", "{{ '<Grace>' }}", "{{ t.replace('<br>', '') }}"),
    *("{{ t | replace('{{ name }}', n) }}", "{{ '{{' }}{{ '}}' }}", "{{ '{name}' | format }}"),
    *("{% raw %}{{ '<br>' }}{% endraw %}", "{% set br %}<br>{% endset %}{{ l | join(br) }}"),
    "{{ n | date(\"d 'de' MMMM\") }}{{ {'a': 1}['a'] }}",
)


@each("source", PLACEHOLDERS)
def test_a_placeholder_in_quotes_is_refused(source: str) -> None:
    """It would be printed with its braces; values are joined."""
    (found, *_) = quoted(source)
    assert "join texts and values by ~" in found.message
    assert source[found.start] in {"'", '"'}


@each("source", MARKUP)
def test_markup_in_quotes_is_named_in_html(source: str) -> None:
    """It is escaped; in an SMS it is text like any other."""
    (found, *_) = quoted_markup(source)
    assert "in quotes is text, which readers would see" in found.message
    (first, *_) = source_warnings(source, "body", html=True)
    assert first["code"] == "quoted_markup"
    assert list(source_warnings(source, "body", html=False)) == []


@each("source", FINE)
def test_what_is_only_looked_for_or_escaped_on_purpose_passes(source: str) -> None:
    """As do signs that are no markup."""
    assert quoted(source) == quoted_markup(source) == []


def test_long_sources_take_no_longer_than_others() -> None:
    """Quotes, braces and operators without end."""
    for source in (
        "{{ " + " ~ ".join(["a"] * 3000) + " }}",
        "{{ '{{" + "a" * 200_000 + "' }}",
        "{{ '" + "<b " * 60_000 + "' }}",
    ):
        assert quoted(source) == []
        assert list(source_warnings(source, "body", html=True)) == []
    engine = Engine(Limits())
    for source in ("{{ " + "\\'" * 100_000, "{% if " + '\\"' * 100_000, "{{ " + "<a " * LONG):
        with soon():
            assert engine.inspect(source, "body", html=True, needs={})[1]
