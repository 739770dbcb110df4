"""Values as templates get them: JSON that can be read, and nothing else."""

import json
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import Code
from tasks.rendering.engine import Engine
from tasks.rendering.explain import SourceError
from tasks.rendering.limits import Limits
from tasks.rendering.numbers import Exact
from tasks.rendering.values import NULL, Array, Null, Object, decode, reaches_methods, wrapped
from tests.support.cases import each
from tests.support.sources import body_of, rendered_body, source_of

QUICK = settings(max_examples=80, deadline=None)
ENGINE = Engine(Limits())
OFFERED: Final = frozenset({"get", "items", "keys", "values"})
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


def text(source: str, /, **values: Any) -> str:  # noqa: ANN401 - any JSON value
    """Render a text body."""
    return body_of(ENGINE, source_of(source, "sms"), values)


def refused(source: str, /, **values: Any) -> SourceError:  # noqa: ANN401 - any JSON value
    """Return the error of an HTML or text body that does not render, which is the same."""
    errors = []
    for kind in ("sms", "in_app"):
        with pytest.raises(SourceError) as caught:
            body_of(ENGINE, source_of(source, kind), values)
        errors.append(caught.value)
    assert errors[0].problem == errors[1].problem
    return errors[0]


def public(kind: type) -> set[str]:
    """Return the public methods of a type of Python's."""
    return {name for name in dir(kind) if not name.startswith("_")}


class TestDecode:
    """JSON becomes values."""

    @QUICK
    @given(st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1), JSON, max_size=4))
    def test_a_template_gets_what_was_sent(self, values: dict[str, Any]) -> None:
        """As JSON again it is the same, but for whole numbers beyond 64 bits."""
        payload = json.dumps(values, ensure_ascii=False).encode()
        for plain in (False, True):
            decoded = decode(payload, plain=plain)
            again = text_of_decoded(decoded)
            assert again == json.loads(payload, parse_int=integer)

    @each(
        "digits",
        [
            "0",
            "-7",
            "999999999999999999",
            "-99999999999999999",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551616",
            "-9223372036854775809",
            "123456789012345678901234567890123456789012345678901234567890",
        ],
    )
    def test_no_digit_of_a_whole_number_is_lost(self, digits: str) -> None:
        """An order number of twenty digits is printed as it was sent, wherever it stands."""
        payload = f'{{"n": {digits}, "o": {{"n": [{digits}]}}}}'.encode()
        ready = ENGINE.prepare(
            source_of("{{ n }} {{ o.n[0] }} {{ n|upper }} {{ o.n|join }}", "sms")
        )
        for plain in (False, True):
            body = rendered_body(ENGINE, ready, decode(payload, plain=plain))
            assert body == " ".join([digits] * 4)

    def test_numbers_are_counted_with(self) -> None:
        """Those of the engine and those beyond, with no loss."""
        assert text("{{ n + 1 }}", n=10**18) == str(10**18 + 1)
        ready = ENGINE.prepare(source_of("{{ n + 1 }}", "sms"))
        body = rendered_body(ENGINE, ready, decode(b'{"n": 12345678901234567890}'))
        assert body == "12345678901234567891"

    @each("digits", ["1" * 18, "-" + "1" * 18, "1" * 19, "-" + "1" * 19])
    @each("other", ["1", "1" * 30, "1.5", '"1111111111111111111"'])
    def test_the_type_of_a_number_does_not_depend_on_others(self, digits: str, other: str) -> None:
        """A template that counts with it works for every producer or for none."""
        decoded = decode(f'{{"n": {digits}, "other": [{other}]}}'.encode())
        assert decoded["n"] == integer(digits)

    def test_kinds(self) -> None:
        """Objects, arrays and nulls are made safe at every depth; the rest is as it is."""
        decoded = decode(b'{"a": {"b": [null, {"c": 1.5}]}, "d": "x", "e": true}')
        assert decoded == {"a": {"b": [NULL, {"c": 1.5}]}, "d": "x", "e": True}
        assert type(decoded["a"]) is type(decoded["a"]["b"][1]) is Object
        assert type(decoded["a"]["b"]) is Array
        assert isinstance(decoded["a"]["b"][0], Null)
        assert wrapped(None) is NULL


def integer(digits: str) -> int | Exact:
    """Return a whole number as the engine has it: exact beyond 64 bits too."""
    return int(digits) if -(2**63) <= int(digits) < 2**63 else Exact(int(digits))


def text_of_decoded(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value with Python's own null, objects and arrays."""
    if isinstance(value, Null):
        return None
    if isinstance(value, dict):
        return {key: text_of_decoded(item) for key, item in dict.items(value)}
    if isinstance(value, list):
        return [text_of_decoded(item) for item in value]
    return value


class TestOutOfReach:
    """A template reads its values and changes nothing."""

    @each("name", sorted(public(dict) - OFFERED))
    def test_an_object_has_no_method_that_changes_it(self, name: str) -> None:
        """Nor any other that nobody documented."""
        values = {"o": {"a": {"b": 1}}}
        for arguments in ("", "'a'", "'a', 1", "{'a': 2}"):
            refused(f"{{{{ o.{name}({arguments}) }}}}", **values)
            refused(f"{{{{ o.a.{name}({arguments}) }}}}", **values)
        refused(f"{{{{ o.{name} }}}}", **values)
        refused(f"{{{{ o['{name}'] }}}}", **values)
        refused(f"{{{{ o|attr('{name}') }}}}", **values)
        assert text(f"{{{{ o.{name} is defined }}}}", **values) == "False"
        assert values == {"o": {"a": {"b": 1}}}

    @each("name", sorted(public(list)))
    def test_an_array_has_no_methods(self, name: str) -> None:
        """It is looped over, measured and read by index."""
        values = {"xs": [3, [1, 2]]}
        for arguments in ("", "3", "0, 3"):
            refused(f"{{{{ xs.{name}({arguments}) }}}}", **values)
            refused(f"{{{{ xs[1].{name}({arguments}) }}}}", **values)
        refused(f"{{{{ xs.{name} }}}}", **values)
        refused(f"{{{{ xs|attr('{name}') }}}}", **values)
        refused(f"{{{{ [xs]|map(attribute='{name}')|join }}}}", **values)
        assert text(f"{{{{ xs.{name} is defined }}}}", **values) == "False"
        assert values == {"xs": [3, [1, 2]]}

    def test_a_template_cannot_change_the_next_render(self) -> None:
        """The same values may be rendered twice, for the body and for its plain text."""
        values = {"o": wrapped({"a": 1}), "xs": wrapped([2, 1])}
        source = (
            "{% set xs = xs|sort %}{% set ns = namespace(o=o) %}{% set ns.o = 1 %}"
            "{% set o = dict(o, b=2) %}{{ xs|tojson }}{{ o.b }}{{ xs|reverse|join }}"
        )
        ready = ENGINE.prepare(source_of(source, "sms"))
        assert len({rendered_body(ENGINE, ready, values) for _ in range(3)}) == 1
        assert values == {"o": {"a": 1}, "xs": [2, 1]}

    def test_methods_are_called_and_never_printed(self) -> None:
        """A method of Python's prints as an address of memory."""
        for name in sorted(OFFERED):
            for source in (
                f"{{{{ o.{name} }}}}",
                f"{{{{ o.{name} ~ 'a' }}}}",
                f"{{{{ [o.{name}] | join }}}}",
            ):
                error = refused(source, o={"a": 1})
                assert error.code == Code.VARIABLES_INVALID
                assert error.message == f"no value for o.{name}"

    def test_the_methods_of_an_object(self) -> None:
        """They are how a template loops over an object."""
        values = {"o": {"a": 1, "b": [2]}}
        loop = "{% for k, v in o.items() %}{{ k }}{{ v }}{% endfor %}"
        assert text(loop, **values | {"o": {"a": 1, "b": 2}}) == "a1b2"
        assert text("{{ o.keys()|join }}{{ o.values()|length }}", **values) == "ab2"
        assert text("{{ o.get('a') }}{{ o.get('z', 'd') }}", **values) == "1d"
        assert refused("{{ o.get('z') }}", **values).problem["type"] == "null"

    @each("name", sorted(public(dict)))
    def test_a_member_may_have_the_name_of_a_method(self, name: str) -> None:
        """``order.items`` is what the producer sent, and missing when nothing was."""
        assert text(f"{{{{ o.{name} }}}}", o={name: 5}) == "5"
        assert text(f"{{% for x in o.{name} %}}{{{{ x }}}}{{% endfor %}}", o={name: [1, 2]}) == "12"
        assert text(f"{{{{ o['{name}'] }}}}{{{{ o|attr('{name}') }}}}", o={name: 5}) == "55"
        assert name in refused(f"{{{{ o.{name} }}}}", o={"other": 5}).message
        refused(f"{{% for x in o.{name} %}}{{% endfor %}}", o={"other": 5})
        refused(f"{{{{ o.{name}|length }}}}", o={"other": 5})


# Each is a print, or makes text of a value that is then printed.
PRINTS: Final = (
    *("x", "o.x", "xs[0]", "xs|first", "xs|last", "xs", "o", "[x]", "[[x]]", "{'k': x}", "(x,)"),
    *("x|upper", "x|lower", "x|title", "x|capitalize", "x|trim", "x|string", "x|e", "x|striptags"),
    *("x|replace('a', 'b')", "'a'|replace('a', x)", "x|urlencode", "x|indent(2)", "x|pprint"),
    *("x|wordwrap", "x ~ 'a'", "'a' ~ x", "xs|join", "xs|join(', ')"),
    *("['a']|join(x)", "['a', 'b']|join(x)", "xs|map('upper')|join", "xs|map('string')|first"),
    *("'%s'|format(x)", "'{}'.format(x)", "','.join(xs)", "xs|sort", "xs|unique", "xs|reverse"),
    *("xs|min", "xs|max", "xs|batch(1)", "xs|slice(1)", "xs|zip(xs)", "xs|chain(xs)", "xs + xs"),
    *("xs * 2", "o|items", "o|dictsort", "o.items()", "o.values()", "o.get('x')", "dict(a=x)"),
    *(
        "namespace(a=x).a",
        "x if true",
        "'a' if false else x",
        "x and 'a'",
        "x or x",
    ),
    *("cycler([x]).next()", "{'k': x}.k"),
)
PRINTING_BLOCKS: Final = (
    "{% for y in xs %}{{ y }}{% endfor %}",
    "{% for k, v in o.items() %}{{ v }}{% endfor %}",
    "{% set y = x %}{{ y }}",
    "{% set y %}{{ x }}{% endset %}",
    "{% with y = x %}{{ y }}{% endwith %}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(x) }}",
    "{% filter upper %}{{ x }}{% endfilter %}",
    "{% filter striptags %}{{ x }}{% endfilter %}",
    "{% block b %}{{ x }}{% endblock %}",
)


class TestNull:
    """A null is false, may be asked for, and is never printed."""

    VALUES: Final[dict[str, Any]] = {"x": None, "o": {"x": None}, "xs": [None]}

    @each("source", [*(f"{{{{ {print_} }}}}" for print_ in PRINTS), *PRINTING_BLOCKS])
    def test_null_is_never_printed(self, source: str) -> None:
        """Neither as None nor as nothing, whatever is done with it first."""
        error = refused(source, **self.VALUES)
        assert error.code == Code.VARIABLES_INVALID
        assert error.problem["type"] == "null"
        assert "None" not in error.message

    def test_a_printed_null_is_named(self) -> None:
        """By its path, in partials too; the names of other values are not."""
        error = refused("{{ y }}{{ o.x }}{{ x }}", **self.VALUES, y=1)
        assert error.message == "null would be printed: o.x, x"
        partial = source_of('{% include "p" %}', partials={"p": "{{ o.x }}"})
        with pytest.raises(SourceError) as caught:
            body_of(ENGINE, partial, self.VALUES)
        assert caught.value.message == "null would be printed: o.x"

    @each("operation", ["x + 1", "x|abs", "x|round", "x|length", "x|sum", "-x"])
    def test_null_is_no_number_and_no_list(self, operation: str) -> None:
        """What it is used for fails, and says so."""
        error = refused(f"{{{{ {operation} }}}}", **self.VALUES)
        assert error.code == Code.VARIABLES_INVALID

    @each(
        ("source", "expected"),
        [
            ("{% if x %}a{% else %}b{% endif %}{% if not o.x %}c{% endif %}", "bc"),
            ("{{ x is none }}{{ xs[0] is none }}{{ x is not none }}", "TrueTrueFalse"),
            ("{{ x is defined }}{{ x is undefined }}{{ x is string }}", "FalseTrueFalse"),
            ("{{ x|default('d') }}{{ xs|map('default', 'd')|join }}", "dd"),
            ("{{ x|default('d', true) }}{{ x or 'e' }}{{ 'f' if x else 'g' }}", "deg"),
            ("{{ x == 1 }}{{ x == x }}{{ 1 in xs }}{{ x in xs }}", "FalseTrueFalseTrue"),
            ("a{{ xs|select|join }}b", "ab"),
            ("{{ xs|reject('none')|join }}{{ xs|length }}{{ o|length }}", "11"),
            ("{{ x|tojson }}{{ xs|tojson }}{{ o|tojson }}", 'null[null]{"x": null}'),
        ],
    )
    def test_templates_can_test_for_null(self, source: str, expected: str) -> None:
        """Conditions and JSON are what it is for."""
        assert text(source, **self.VALUES) == expected

    def test_a_null_of_one_render_does_not_affect_the_next(self) -> None:
        """What was about to be printed is forgotten with its render."""
        refused("{{ x }}", x=None)
        assert text("{{ x }}", x="a") == "a"


# What templates do with values, in pieces: some come to the methods of these, most do not.
EXPRESSIONS = st.sampled_from(
    [
        *("x", "o", "xs", "o.a", "o.b.c", "xs|first", "xs|join", "xs|length", "o|items", "x|upper"),
        *(
            "xs|sort",
            "o|dictsort",
            "xs|reverse",
            "xs|batch(2)",
            "xs|tojson",
            "xs|zip(xs)",
            "o ~ xs",
        ),
        *(
            "o.items()",
            "o . keys ( )",
            "o.pop",
            "xs.append",
            "xs . append",
            "o['pop']",
            "o[ 'pop' ]",
        ),
        *(
            "xs|attr('append')",
            "[xs]|map(attribute='append')|join",
            "o|attr('items')",
            "o.get('a')",
        ),
        *("[o]|map(attribute='pop')|list", "[o]|selectattr('pop')|join", "xs[0]", "o['a']"),
        *("[o]|groupby('pop')", "[o]|sort(attribute='pop')", "[o]|unique(attribute='pop')"),
        *("[o]|sum(attribute='pop')", "[o]|max(attribute='pop')", "[o]|map('attr', 'pop')|join"),
        *("[o]|rejectattr('clear')|join", "xs|unique", "xs|max", "xs|sum", "'append' in xs"),
    ]
)
TEMPLATES = st.sampled_from(
    [
        *("{{ % }}", "{{- % -}}", "{% if % %}a{% endif %}", "{% for y in % %}{{ y }}{% endfor %}"),
        *(
            "{% set y = % %}{{ y }}",
            "{% with y = % %}{{ y }}{% endwith %}",
            "{% raw %}{{ % }}{% endraw %}",
        ),
        *("{% macro m(a) %}{{ a }}{% endmacro %}{{ m(%) }}", "{# % #}", "% {{ 1 }}"),
    ]
)


class TestPlainValues:
    """Sources that do not come to methods get Python's own objects, and nobody can tell."""

    PAYLOAD: Final = b'{"x": "a", "o": {"a": 1, "b": {"c": [2]}}, "xs": [3, 4]}'

    @QUICK
    @given(st.lists(st.tuples(TEMPLATES, EXPRESSIONS), min_size=1, max_size=3))
    def test_the_result_is_the_same(self, pieces: list[tuple[str, str]]) -> None:
        """Where it could differ, the source is known to reach methods."""
        source = "".join(
            template.replace(" % ", f" {expression} ").replace("(%)", f"({expression})")
            for template, expression in pieces
        )
        if reaches_methods(source):
            return
        ready = ENGINE.prepare(source_of(source, "sms"))
        results = []
        for plain in (False, True):
            try:
                results.append(rendered_body(ENGINE, ready, decode(self.PAYLOAD, plain=plain)))
            except SourceError as error:
                results.append(str(error.problem))
        assert results[0] == results[1]
        assert "0x" not in results[0]
        assert "method" not in results[0]

    @each("name", sorted(public(dict) | public(list)))
    def test_every_way_to_a_method_is_known(self, name: str) -> None:
        """By a dot, by a subscript, and by filters that are given a name."""
        for source in (
            f"{{{{ o.{name} }}}}",
            f"{{{{ o . {name} }}}}",
            f"{{{{ o\n.\n{name}() }}}}",
            f"{{{{ o['{name}'] }}}}",
            f"{{% set y = '{name}' %}}{{{{ o[y] }}}}",
            f"{{{{ o|attr('{name}') }}}}",
            f"{{{{ [o]|map('attr', '{name}')|join }}}}",
            f"{{{{ [o]|map(attribute='{name}')|join }}}}",
            f"{{% for y in [o]|sort(attribute='{name}') %}}{{% endfor %}}",
            f"{{% for y in [o]|groupby('{name}') %}}{{% endfor %}}",
        ):
            assert reaches_methods(source), source
        assert not reaches_methods(f"{{{{ {name} }}}} o.{name} {{{{ o.a{name} }}}}")
