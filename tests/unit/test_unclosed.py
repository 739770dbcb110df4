"""Tags that do not end or begin are refused where readers would see them."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.rendering.checks.unclosed import unclosed
from tasks.rendering.engine import Engine
from tasks.rendering.limits import Limits
from tests.support.alarm import LONG, soon
from tests.support.cases import each

ENGINE = Engine(Limits())


def refused(source: str, *, html: bool) -> list[str]:
    """Return what a source has at each place at which it is refused, from there on."""
    _, problems = ENGINE.inspect(source, "body", html=html, needs={})
    lines = source.splitlines()
    return [lines[problem["line"] - 1][problem["column"] - 1 :] for problem in problems]


@each(
    ("source", "rest"),
    [
        ("Hello {# TODO ask legal {{ n }}", ["{# TODO ask legal {{ n }}"]),
        ("{# one #} {# two }", ["{# two }"]),
        ("{# one\n{{ n }}", ["{# one"]),
        ("a {# b #", ["{# b #"]),
        ("a {# b {# c #} {{ n }}", ["{# b {# c #} {{ n }}"]),
        ("{#TODO: ask {legal}", ["{#TODO: ask {legal}"]),
        ("{#menu {{ n }}", ["{#menu {{ n }}"]),
        ("note #} {{ n }}", ["#} {{ n }}"]),
        ("{ n }}!", ["}}!"]),
        ("{{ n }}}!", ["}}}!"]),
        ("{{ n }}}}", ["}}"]),
        ("{{ n }} n }}", ["}}"]),
        ("if n %}", ["%}"]),
        ("{{ n }!", ["}!"]),
        ("{{ n", ["n"]),
        ("{% if n", ["n"]),
        ("{% if n %}", ["%}"]),
        ("{% raw %}{{ n }}", [""]),
    ],
)
def test_an_unclosed_tag_is_refused_with_its_place(source: str, rest: list[str]) -> None:
    """In text and in HTML, in elements and attributes."""
    assert refused(source, html=False) == rest
    assert refused(source, html=True) == rest
    if len(rest[0]) > 1:
        assert refused(f"<p>{source}</p>", html=True)
        assert refused(f'<p title="{source}">', html=True)
        assert refused(f"<!-- {source} -->", html=True)
        assert refused(f"<style>a{{#b{{}}}}</style>{source}", html=True)


@each(
    "source",
    [
        "{# a note #}{{ n }}",
        "{#- a note -#}{{ n }}",
        "{{ n }} :-} {n} { n }",
        '{"a": {"b": {{ n }}}}',
        '{"a":{"b":1}} {{ n }}',
        "{ { n } }",
        '{{ "{#" }}{{ "}}" }}{{ {"a": {"b": n}} }}',
        "{% raw %}{# }} %} #}{% endraw %}{{ n }}",
        "100%{{ n }}%",
    ],
)
def test_complete_tags_and_pairs_of_braces_are_accepted(source: str) -> None:
    """Strings, raw blocks, JSON and single braces have nothing to close."""
    assert refused(source, html=False) == []
    assert refused(source, html=True) == []


@each(
    "source",
    [
        "<style>@media print{#menu{display:none}}</style>{{ n }}",
        "<style>a{{% if n %}b:c{% endif %}}}</style>",
        "<STYLE>@media print{ {#a,#b{c:{{ n }}}}</STYLE >",
        "<script>class A{#x=1}; if(a){b(function(){})}}</script>{{ n }}",
        "<!--[if mso]><style>a{#x{b:c}}</style><![endif]-->{{ n }}",
        "<p style='width:{{ n }}%'>",
        "@media print{#menu{display:none}}",
        "@media{#a .b:hover,#c{}.d{width:50%}}",
    ],
)
def test_braces_of_style_sheets_and_scripts_are_text(source: str) -> None:
    """In their elements, in comments for Outlook, and in a partial for such an element."""
    assert unclosed(source, html=True) == []


def test_the_message_says_how_to_write_it() -> None:
    """Both remedies: the missing mark, and a raw block."""
    _, (problem,) = ENGINE.inspect("a\nb {# c", "body", html=False, needs={})
    assert (problem["type"], problem["line"], problem["column"]) == ("unclosed", 2, 3)
    assert "write #} at its end" in problem["message"]
    assert "{% raw %}{#{% endraw %}" in problem["message"]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from(["{", "}", "#", "%", "a", "<style>", "</style>"])).map("".join))
def test_a_raw_block_accepts_everything(text: str) -> None:
    """The remedy of the message works for any text."""
    assert unclosed(f"{{% raw %}}{text}{{% endraw %}}", html=False) == []


@each("piece", ["{#", "#}", "}}", "{", "<style>{#", "<!--[if mso]>{#", "{{ n }}}", "{#a{b:"])
def test_a_long_source_is_judged_in_time(piece: str) -> None:
    """In proportion to its length."""
    with soon():
        unclosed((piece * LONG)[:LONG], html=True)
        unclosed((piece * LONG)[:LONG], html=False)
