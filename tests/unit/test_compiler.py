"""Compiled sources: kept within bounds, rendered in their own language, and failing at a place."""

from typing import Any

import pytest
from minijinja import TemplateError

from tasks.rendering.compiler import Compiler
from tasks.rendering.failures import FilterFailedError, NullPrintedError
from tasks.rendering.limits import Limits
from tests.support.cases import each
from tests.support.sources import given

LIMITS = Limits(render_memory_mb=64)


@pytest.fixture
def compiler() -> Compiler:
    """Give a compiler of text."""
    return Compiler(LIMITS, escapes=False)


def place(compiler: Compiler, source: str, used: dict[str, str] | None = None) -> int | None:
    """Return where a filter failed that is given 'bad', among those that are given 1."""
    partials = {key: compiler.compile("en", partial) for key, partial in (used or {}).items()}
    name = compiler.compile("en", source)
    values: dict[str, Any] = given({"bad": "bad", "good": 1})
    with pytest.raises(FilterFailedError) as caught:
        compiler.render(name, partials, values)
    found = compiler.filter_place(caught.value, name, partials, values)
    assert compiler.source(caught.value.template) in {source, *(used or {}).values()}
    return found


class TestCache:
    """What is compiled once is kept, up to a bound."""

    def test_the_same_source_is_compiled_once(self, compiler: Compiler) -> None:
        """By source and language, for its filters speak that language."""
        first = compiler.compile("en", "{{ x }}")
        assert compiler.compile("en", "{{ x }}") == first
        assert compiler.compile("de", "{{ x }}") != first
        assert compiler.compile("en", "{{ y }}") != first
        assert compiler.source(first) == "{{ x }}"

    def test_a_source_is_derived_once(self, compiler: Compiler) -> None:
        """And kept under the source that it was made of."""
        asked: list[str] = []

        def derive(source: str) -> str:
            asked.append(source)
            return source.upper()

        first = compiler.compile_derived("en", "a", derive)
        assert compiler.compile_derived("en", "a", derive) == first
        assert compiler.compile_derived("de", "a", derive) != first
        assert asked == ["a", "a"]
        assert compiler.source(first) == "A"

    def test_a_source_that_does_not_compile_leaves_nothing(self, compiler: Compiler) -> None:
        """It is refused again, and the next source has a name of its own."""
        for _ in range(2):
            with pytest.raises(TemplateError):
                compiler.compile("en", "{% if %}")
        name = compiler.compile("en", "a")
        assert compiler.render(name, {}, {}) == "a"

    def test_few_sources_are_kept(self, compiler: Compiler) -> None:
        """At the bound all are still there."""
        names = [compiler.compile("en", f"{number}") for number in range(LIMITS.compiled_sources)]
        compiler.forget()
        assert [compiler.render(name, {}, {}) for name in names[::100]] == [
            "0",
            "100",
            "200",
            "300",
            "400",
            "500",
        ]

    def test_many_sources_are_dropped(self, compiler: Compiler) -> None:
        """One more than the bound, and all go, derived ones too; what comes next is fresh."""
        asked: list[str] = []

        def derive(source: str) -> str:
            asked.append(source)
            return source

        names = [compiler.compile("en", f"{number}") for number in range(LIMITS.compiled_sources)]
        compiler.compile_derived("en", "d", derive)
        compiler.forget()
        with pytest.raises(TemplateError):
            compiler.render(names[-1], {}, {})
        with pytest.raises(KeyError):
            compiler.source(names[-1])
        compiler.compile_derived("en", "d", derive)
        assert asked == ["d", "d"]
        again = compiler.compile("en", "fresh {{ x }}")
        assert compiler.render(again, {}, {"x": 1}) == "fresh 1"

    def test_large_sources_are_dropped_sooner(self, compiler: Compiler) -> None:
        """The characters count, of those that sources are derived from too."""
        size = LIMITS.compiled_characters // 4
        kept = compiler.compile("en", "a" * size)
        compiler.compile_derived("en", "b" * size, lambda source: source.upper())
        compiler.forget()
        assert len(compiler.render(kept, {}, {})) == size
        compiler.compile("en", "c" * (size + 1))
        compiler.forget()
        with pytest.raises(TemplateError):
            compiler.render(kept, {}, {})

    def test_a_printed_none_is_found_after_forgetting(self, compiler: Compiler) -> None:
        """Names are given anew, and no earlier source answers for them."""
        for number in range(LIMITS.compiled_sources + 1):
            compiler.compile("en", f"None {number}")
        first = compiler.compile("en", "None 0")
        assert compiler.render(first, {}, {}) == "None 0"
        compiler.forget()
        again = compiler.compile("en", "{{ none }}")
        assert again == first
        with pytest.raises(NullPrintedError):
            compiler.render(again, {}, {})


class TestLanguages:
    """A filter speaks the language of the text in which it stands."""

    def test_the_language_is_the_sources(self, compiler: Compiler) -> None:
        """The same source in two languages gives two texts."""
        source = "{{ x|number }}"
        rendered = {
            language: compiler.render(compiler.compile(language, source), {}, {"x": 1234.5})
            for language in ("en", "de", "fr-CH")
        }
        assert rendered["en"] == "1,234.5"
        assert rendered["de"] == "1.234,5"

    def test_a_partials_language_is_its_own(self, compiler: Compiler) -> None:
        """A partial that has no translation stays in its language within another's text."""
        english = compiler.compile("en", "{{ x|number }}")
        german = compiler.compile("de", '{{ x|number }} {% include "p" %} {{ x|number }}')
        assert compiler.render(german, {"p": english}, {"x": 1.5}) == "1,5 1.5 1,5"

    def test_a_layouts_language_is_its_own(self, compiler: Compiler) -> None:
        """Blocks speak the language of the text that wrote them."""
        layout = compiler.compile("en", "{{ x|number }} {% block b %}{{ x|number }}{% endblock %}")
        source = '{% extends "l" %}{% block b %}{{ super() }} {{ x|number }}{% endblock %}'
        german = compiler.compile("de", source)
        assert compiler.render(german, {"l": layout}, {"x": 1.5}) == "1.5 1.5 1,5"

    def test_partials_are_those_of_the_render(self, compiler: Compiler) -> None:
        """The same source may use other partials, or other translations of them, the next time."""
        name = compiler.compile("en", '{% include "p" %}')
        for body in ("a", "b"):
            assert compiler.render(name, {"p": compiler.compile("en", body)}, {}) == body
        with pytest.raises(TemplateError):
            compiler.render(name, {}, {})


class TestPlaces:
    """The use of a filter that failed is found among several."""

    @each(
        "source",
        [
            "{{ ^bad|number }}",
            "{{ good|number }}{{ ^bad|number }}{{ good|number }}",
            "{{ good|number }}\n{{ good|number ~ ^bad|number }}",
            "{{ good|number }}{% if good|number == '1' %}{{ ^bad|number }}{% endif %}",
            "{% if false %}{{ bad|number }}{% endif %}{{ good|number }}{{ ^bad|number }}",
            "{{ 'bad|number' }}{{ good|number }}{{ ^bad|number }}",
            "{# bad|number #}{{ good|number }}{{ ^bad|number }}",
            "{% raw %}{{ bad|number }}{% endraw %}{{ good|number }}{{ ^bad|number }}",
            "{{ good|number }}{% filter ^number %}bad{% endfilter %}",
            "{% for x in [good, bad] %}{{ good|number }}{{ ^x|number }}{% endfor %}",
            "{% macro m(a) %}{{ ^a|number }}{% endmacro %}{{ good|number }}{{ m(bad) }}",
            "{{ good|number }}{% block b %}{{ ^bad|number }}{% endblock %}",
            "{{ good | number }}{{ ^bad | number }}{{ ^bad|number(digits=1) }}",
            "ä😀{{ good|number }}{{ ^bad|number }}",
            "@media{#a{b:c}}{{ good|number }}{# c #}{{ ^bad|number }}",
        ],
    )
    def test_the_one_that_failed_is_found(self, compiler: Compiler, source: str) -> None:
        """A caret stands before what leads to it; the place is that of the filter's name."""
        expected = source.index("number", source.index("^")) - 1
        assert place(compiler, source.replace("^", "")) == expected
        clean = source.replace("^", "")
        assert clean[expected:].startswith("number")

    def test_failed_filters_in_partials_have_a_position(self, compiler: Compiler) -> None:
        """A partial has places of its own, whatever the text around it uses."""
        partial = "{{ good|number }}\n{{ bad|number }}"
        used = {"p": partial, "q": '{{ good|number }}{% include "p" %}'}
        expected = partial.rindex("number")
        for source in ('{% include "p" %}', '{{ good|number }}{% include "q" %}{{ bad|number }}'):
            assert place(compiler, source, used) == expected
        layout = "{{ good|number }}{% block b %}{% endblock %}{{ bad|number }}"
        source = '{% extends "l" %}{% block b %}{{ good|number }}{{ good|number }}{% endblock %}'
        assert place(compiler, source, {"l": layout}) == layout.rindex("number")
        source = '{% extends "l" %}{% block b %}{{ good|number }}{{ bad|number }}{% endblock %}'
        assert place(compiler, source, {"l": layout}) == source.rindex("number")

    @each(
        "source",
        [
            "{{ good|number }}{{ [bad]|^map('number')|join }}",
            '{{ [good]|map("number")|join }}{{ [bad] | ^map ( "number" )|join }}',
            "{% set f = 'number' %}{{ good|number }}{{ [bad]|^map(f)|join }}",
            "{{ 'number' }}{% for x in [bad]|^map('number') %}{{ x }}{% endfor %}",
            "{{ [1]|select('gt', 0)|join }}{{ ['a']|^select('gt', 0)|join }}",
            "{{ [1]|select('>', 0)|join }}{{ 1 is gt(0) }}{{ [1, 'a']|^reject(\">\", 0)|join }}",
            "{% for x in [{'a': 'b'}]|^selectattr('a', 'gt', 1) %}{% endfor %}",
            "{% if [{'a': 'b'}] | ^rejectattr(\"a\", \"lt\", 1) %}{% endif %}",
        ],
    )
    def test_used_by_another_filter_it_has_the_place_of_that(
        self, compiler: Compiler, source: str
    ) -> None:
        """``map`` and its like are given the name of a filter or test."""
        assert place(compiler, source.replace("^", "")) == source.index("^")

    def test_the_search_leaves_nothing_behind(self, compiler: Compiler) -> None:
        """The names that it gives are gone, and renders go on."""
        source = "{{ good|number }}{{ bad|number }}"
        for _ in range(3):
            assert place(compiler, source) == source.rindex("number")
        name = compiler.compile("en", source)
        assert compiler.render(name, {}, {"good": 1, "bad": 2}) == "12"
        with pytest.raises(TemplateError) as caught:
            compiler.render(compiler.compile("en", "{{ 1|number__0 }}"), {}, {})
        assert caught.value.kind == "UnknownFilter"

    def test_very_many_uses_have_a_bound(self, compiler: Compiler) -> None:
        """A source of thousands of uses costs no thousands of filters; the last has no place."""
        source = "{{ good|number }}" * 3000
        assert place(compiler, "{{ bad|number }}" + source) == len("{{ bad|")
        assert place(compiler, source + "{{ bad|number }}") is None


class TestTrials:
    """Values that were made up are nobody's fault."""

    @each("use", ["currency('EUR')", "date", "list", "plural(one='a', other='b')"])
    def test_an_invented_value_fits_every_filter(self, compiler: Compiler, use: str) -> None:
        """The made-up text may be an amount, a date or a list of real values."""
        name = compiler.compile("en", f"{{{{ x|{use} }}}}")
        assert compiler.render(name, {}, {"x": "text"}, is_trial=True)
        with pytest.raises(FilterFailedError):
            compiler.render(name, {}, {"x": "text"})

    def test_a_real_value_does_not(self, compiler: Compiler) -> None:
        """An example that does not fit would fail in earnest too."""
        name = compiler.compile("en", "{{ x|date }}")
        with pytest.raises(FilterFailedError):
            compiler.render(name, {}, {"x": "tomorrow"}, is_trial=True)
