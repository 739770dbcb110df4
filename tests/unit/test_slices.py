"""Slices are taken out of a source before it is asked for its placeholders."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.rendering.checks.slices import without_slices
from tasks.rendering.engine import Engine
from tasks.rendering.limits import Limits
from tests.support.cases import each

ENGINE = Engine(Limits())


@each(
    ("source", "names"),
    [
        ("{{ name[:1] }}", ["name"]),
        ("{{ user.name[:1] }}", ["user.name"]),
        ("{{ a[b:c] }}", ["a", "b", "c"]),
        ("{{ (a ~ b)[:2]|upper }}", ["a", "b"]),
        ("{{ a[b[1:2]:3] }}", ["a", "b"]),
        ("{% for x in items[1:][:n] %}{{ x[:2] }}{% endfor %}", ["items", "n"]),
        ("{% if a[:1] == 'x' %}{% endif %}", ["a"]),
        ("{{ {'k': a[:1]}['k'] }}", ["a"]),
        ("{{ 'a:b'[0:1] }}{{ ':[' ~ a }}", ["a"]),
        ("{% set x = a[:1] %}{{ x[:1] }}", ["a"]),
        ("{# a[d:e] #}{% raw %}{{ b[:1] }}{% endraw %}{{ c }}", ["c"]),
    ],
)
def test_sliced_names_are_placeholders(source: str, names: list[str]) -> None:
    """So are the names that a slice goes from and to."""
    assert ENGINE.inspect(source, "body", html=False, needs={}) == (names, [])


@each(
    "source",
    [
        *("{{ [1, 2] }}", "{{ {'a': [b]} }}", "{{ a['b:c'] }}", "{{ a[b] }}", "a[1:2]"),
        *("{# a[b:c] #}", "{{ a ~ [b:c] }}", "{{ {'k': [a:b]} }}", "{{ a[b }}{{ c[d:e }}"),
        "{{ a[0] : b }}",
    ],
)
def test_brackets_that_are_no_slices_are_unchanged(source: str) -> None:
    """Lists, objects, subscripts, comments, what the engine refuses, and text outside of tags."""
    assert without_slices(source) == source


def test_the_bounds_of_a_slice_are_printed_before_it() -> None:
    """All three, in their order."""
    assert without_slices("{{ f(a)[b:c:d] }}!") == "{{ b }}{{ c }}{{ d }}{{ f(a) }}!"


@settings(max_examples=80, deadline=None)
@given(st.text(st.sampled_from("{}%#[]():'\"ab .|-"), max_size=60))
def test_any_source_is_taken(source: str) -> None:
    """Whatever it holds, and what is outside of its tags stays."""
    assert isinstance(without_slices(source), str)
