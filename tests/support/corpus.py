"""Hostile and clumsy templates and values, each with the answer that it must get.

Bodies are of type email unless said otherwise: those go through most code, HTML and the text
alternative. In sources and values ``§`` stands for a prefix of template_ids that no other test has.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from tasks.errors import Code

OK: Final = ""
LIMIT: Final = Code.RENDER_LIMIT_EXCEEDED
SYNTAX: Final = Code.TEMPLATE_SYNTAX
INVALID: Final = Code.VARIABLES_INVALID
MISMATCH: Final = Code.PLACEHOLDER_MISMATCH
MESSAGE: Final = Code.INVALID_MESSAGE
LARGE: Final = Code.TOO_LARGE

MOST: Final = 256 * 1024
"""Bytes of a body, and of the variables of a render."""

TAGS: Final = 16 * 1024
"""Bytes of a body of nothing but tags that is to be accepted, on a busy machine too."""

SECRET: Final = "zq7-personal-9kx"  # noqa: S105 - personal data, not a password
"""Stands in every large value: no error text and no log may show it."""

BIG: Final = SECRET + "a" * 200_000
SMALL: Final = SECRET + "a" * 10_000


@dataclass(frozen=True, slots=True)
class Entry:
    """What is sent, and what must come back.

    Attributes
    ----------
    name
        Of the test.
    body, subject, type
        Of the version that is published.
    before
        Partials that are published first, each a name and a body; they must be accepted.
    template
        The name of the one that is published last; it may be one of ``before`` once more.
    schema
        The version's variables; None has them inferred.
    translations
        Bodies by language.
    publish
        The code that publishing must get, :data:`OK` if it is accepted.
    render
        The same of the render that follows.
    values
        The variables of the render: an object, or its JSON where no ``dict`` holds it.
    gives, subject_gives
        The expected body and subject; None if the entry does not state them.
    """

    name: str
    body: str
    publish: str = OK
    render: str = OK
    values: dict[str, Any] | str = field(default_factory=dict)
    gives: str | None = None
    subject: str | None = None
    subject_gives: str | None = None
    type: str = "email"
    before: tuple[tuple[str, str], ...] = ()
    template: str = "main"
    schema: list[Any] | None = None
    translations: dict[str, str] = field(default_factory=dict)


def repeated(text: str, size: int = MOST) -> str:
    """Return ``text`` as often as ``size`` bytes have room for it."""
    return text * (size // len(text.encode()))


def grown(start: str, step: str, times: int = 60) -> str:
    """Return a template in which ``x`` becomes ``step`` again and again."""
    return (
        f"{{% set ns = namespace(x={start}) %}}{{% for i in range({times}) %}}"
        f"{{% set ns.x = {step} %}}{{% endfor %}}{{{{ ns.x|length }}}}"
    )


def often(inside: str, turns: int = 3) -> str:
    """Return a template that does ``inside`` as often as nested loops of 10,000 turns can."""
    loops = "".join(f"{{% for n{turn} in range(10000) %}}" for turn in range(turns))
    return loops + inside + "{% endfor %}" * turns


def _heavy(name: str, inside: str, values: dict[str, Any], **others: Any) -> Entry:  # noqa: ANN401 - of an entry
    """Return a bomb that goes off when ``go`` is "yes", as in no trial render it is."""
    body = f"{{% if go == 'yes' %}}{often(inside, 2)}{{% endif %}}"
    return Entry(name, body, OK, LIMIT, {"go": "yes"} | values, **others)


SLOW: Final = "{% for a in range(3000) %}{% for b in range(900) %}{% endfor %}{% endfor %}"
"""Takes less than a second on a fast machine, and not much less."""

LANGUAGES: Final = (
    "af am ar az be bg bn bs ca cs cy da de el es et eu fa fi fr ga gl gu he hi hr hu hy id is it "
    "ja ka kk km kn ko ky lo lt lv mk ml mn mr ms my ne nl pl"
)

OPERATORS: Final = [
    Entry("text times a number", "{{ ('ab' * 1000000000)|length }}", SYNTAX),
    Entry("text times the largest number", "{{ ('ab' * 9223372036854775807)|length }}", SYNTAX),
    Entry("list times a number", "{{ [1] * 100000000 }}", LIMIT),
    Entry("text times a value", "{{ ('ab' * n)|length }}", OK, INVALID, {"n": 1_000_000_000}),
    Entry("doubling with ~", grown("'ab'", "ns.x ~ ns.x"), LIMIT),
    Entry("doubling with +", grown("'ab'", "ns.x + ns.x"), LIMIT),
    Entry("doubling a list", grown("[1]", "ns.x + ns.x"), LIMIT),
    Entry("doubling with *", grown("'ab'", "ns.x * 2"), LIMIT),
    Entry("doubling a list in a list", grown("[1]", "[ns.x, ns.x]") + "{{ ns.x }}", LIMIT),
    Entry("doubling an object", grown("{'a': 1}", "{'a': ns.x, 'b': ns.x}") + "{{ ns.x }}", LIMIT),
    Entry("a tower of powers", "{{ 10 ** 10 ** 10 ** 10 }}", SYNTAX),
    Entry("a power of a value", "{{ n ** n }}", OK, INVALID, {"n": 999_999_999}),
    Entry("a division by zero", "{{ 1 // 0 }}", SYNTAX),
    Entry("a remainder of zero", "{{ 1 % n }}", OK, INVALID, {"n": 0}),
    Entry("the smallest number by -1", "{{ (-9223372036854775807 - 1) // -1 }}"),
    Entry("% for formatting", "{{ '%1000000000d' % 1 }}", SYNTAX),
    Entry("a sum of text and number", "{{ x + 1 }}", OK, INVALID, {"x": SECRET}),
    _heavy(
        "huge lists compared",
        "{% if x == y %}{% endif %}",
        {"x": [SECRET] * 5000, "y": [SECRET] * 5000},
    ),
    _heavy(
        "huge objects compared",
        "{% if x == y %}{% endif %}",
        {"x": {f"{n}": n for n in range(9000)}, "y": {f"{n}": n for n in range(9000)}},
    ),
    _heavy("in a huge list", "{% if n0 in x %}{% endif %}", {"x": [-1] * 60_000}),
    _heavy("in a huge text", "{% if y in x %}{% endif %}", {"x": BIG, "y": "a" * 20_000 + "b"}),
    _heavy("a slice turned around", "{{ x[::-1]|length }}", {"x": BIG}),
    Entry("a slice of a value", "{{ x[:2] }}", values={"x": "abc"}, gives="ab"),
    Entry(
        "a slice at the end of numbers",
        "{{ x[:9223372036854775807:9223372036854775807] }}",
        values={"x": "abc"},
        gives="a",
        schema=["x"],
    ),
    Entry("a slice by steps of 0", "{{ [1][::0] }}", SYNTAX),
    Entry("an index far out", "{{ x[9223372036854775807] }}", OK, INVALID, {"x": [SECRET]}),
    Entry("a range without end", "{{ range(0, 9223372036854775807)|list|length }}", SYNTAX),
    Entry("a range by steps of 0", "{{ range(10, 20, 0)|list|length }}", SYNTAX),
]

FILTERS: Final = [
    Entry("join", "{{ x|split('')|join(x)|length }}", OK, LIMIT, {"x": BIG}),
    Entry("replace", "{{ x|replace('a', x)|length }}", OK, LIMIT, {"x": BIG}),
    Entry("replace of nothing", "{{ x|replace('', x)|length }}", OK, LIMIT, {"x": BIG}),
    Entry("indent", "{{ 'a\nb'|indent(987654321)|length }}", LIMIT),
    Entry("indent below zero", "{{ 'a\nb'|indent(-1) }}", SYNTAX),
    Entry("indent by a value", "{{ 'a\nb'|indent(n) }}", OK, LIMIT, {"n": 987_654_321}),
    Entry("indent of lines", "{{ x|indent(100000)|length }}", OK, LIMIT, {"x": "a\n" * 60_000}),
    Entry("format, %", "{{ '%1000000000d'|format(1)|length }}", LIMIT),
    Entry("format, %s", "{{ '%1000000000s'|format('a')|length }}", LIMIT),
    Entry("format, %*d", "{{ '%*d'|format(1000000000, 1)|length }}", SYNTAX),
    Entry("format, precision", "{{ '%.1000000000f'|format(1.5)|length }}", SYNTAX),
    Entry("format, braces", "{{ '{:>1000000000}'.format(1)|length }}", LIMIT),
    Entry("format, braces and precision", "{{ '{:.1000000000f}'.format(1.5)|length }}", LIMIT),
    Entry(
        "format, a width of 10**30", "{{ '{:>1000000000000000000000000000000}'.format(1) }}", SYNTAX
    ),
    Entry("format, nested", "{{ '{:{}}'.format(1, 1000000000) }}", SYNTAX),
    Entry("format of a value", "{{ f|format(1) }}", OK, LIMIT, {"f": "%1000000000d"}),
    Entry("format of a value, broken", "{{ f|format(1) }}", OK, INVALID, {"f": f"%{SECRET}"}),
    Entry("batch", "{{ [1]|batch(987654321, 0)|list|length }}", LIMIT),
    Entry("batch of 0", "{{ [1]|batch(0)|list }}", SYNTAX),
    Entry("slice", "{{ 'a'|slice(987654321)|list|length }}", LIMIT),
    Entry("slice of 0", "{{ 'a'|slice(0)|list }}", SYNTAX),
    _heavy("zip", "{{ x|zip(x, x, x)|map('first')|join|length }}", {"x": [0] * 60_000}),
    _heavy("groupby", "{{ x|groupby('a')|length }}", {"x": [{"a": 1}] * 9000}),
    _heavy("sort", "{{ x|split('')|sort|length }}", {"x": BIG}),
    Entry("sort of what has no order", "{{ [1, 'a', [2], {}]|sort|length }}", SYNTAX),
    _heavy("unique", "{{ x|split('')|unique|length }}", {"x": BIG}),
    _heavy("dictsort", "{{ x|dictsort|length }}", {"x": {f"{n}": n for n in range(9000)}}),
    _heavy("tojson", "{{ x|tojson|length }}", {"x": [0] * 60_000}),
    Entry("tojson of depth", grown("[]", "[ns.x]", 50_000) + "{{ ns.x|tojson }}", LIMIT),
    Entry("printing depth", grown("[]", "[ns.x]", 50_000) + "{{ ns.x }}", LIMIT),
    _heavy("urlencode", "{{ x|urlencode|length }}", {"x": "%" * 200_000}),
    _heavy("pprint", "{{ x|pprint|length }}", {"x": [0] * 60_000}),
    _heavy("split", "{{ x|split('a')|length }}", {"x": BIG}),
    Entry("split at nothing", "{{ x|split('')|length }}", values={"x": "ab" * 100_000}),
    _heavy("lines", "{{ x|lines|length }}", {"x": "\n" * 100_000}),
    _heavy("map", "{{ x|split('')|map('upper')|join|length }}", {"x": BIG}),
    Entry("map of an unknown filter", "{{ [1]|map('safe')|list }}", SYNTAX),
    Entry("select of an unknown test", "{{ [1]|select('nonsense')|list }}", SYNTAX),
    _heavy("sum", "{{ x|sum }}", {"x": [1] * 60_000}),
    Entry("sum of text", "{{ x|sum }}", OK, INVALID, {"x": [SECRET, SECRET]}),
    Entry(
        "sum beyond 128 bits", "{{ x|sum }}", OK, OK, {"x": [10**17] * 10}, "1000000000000000000"
    ),
    _heavy("title", "{{ x|title|length }}", {"x": "a " * 100_000}),
    Entry("upper that grows", "{{ x|upper|length }}", values={"x": "ΐ" * 60_000}, gives="60000"),
    _heavy("reverse", "{{ x|reverse|length }}", {"x": BIG}),
    Entry("round to 10**9 digits", "{{ 1.5|round(1000000000) }}", SYNTAX),
    Entry("int of text", "{{ x|int }}", OK, Code.VARIABLES_INVALID, {"x": "9" * 200_000}),
    Entry("float of text", "{{ x|float }}", OK, Code.VARIABLES_INVALID, {"x": "9" * 200_000}),
    Entry("attr of a method", "{{ x|attr('__class__') }}", OK, INVALID, {"x": SECRET}),
    *(
        Entry(f"{name}, which there is not", f"{{{{ 'a'|{name} }}}}", SYNTAX)
        for name in ("xmlattr", "urlize", "random", "center")
    ),
    _heavy("truncate", "{{ x|truncate(length=199999)|length }}", {"x": BIG}),
    _heavy("striptags", "{{ x|striptags|length }}", {"x": "<" * 200_000}),
    _heavy("wordwrap", "{{ x|wordwrap(width=3)|length }}", {"x": "a " * 100_000}),
    Entry(
        "wordwrap with much",
        "{{ x|wordwrap(width=1, wrapstring=x)|length }}",
        OK,
        LIMIT,
        {"x": BIG},
    ),
    Entry("a chain of filters", "{{ 'a'" + repeated("|upper", 200_000) + " }}", LIMIT),
    Entry(
        "filter blocks in filter blocks",
        "{% filter upper %}" * 5000 + "a" + "{% endfilter %}" * 5000,
        SYNTAX,
    ),
    _heavy(
        "a filter block that multiplies",
        "{% filter replace('a', x) %}{{ x }}{% endfilter %}",
        {"x": BIG},
        type="sms",
    ),
    Entry("a filter block of markup", "{% filter replace('a', x) %}{{ x }}{% endfilter %}", SYNTAX),
]

MACROS: Final = [
    Entry(
        "a macro that calls itself", "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}", LIMIT
    ),
    Entry(
        "macros that call each other",
        "{% macro a(n) %}{{ b(n) }}{{ b(n) }}{% endmacro %}"
        "{% macro b(n) %}{{ a(n) }}{{ a(n) }}{% endmacro %}{{ a(0) }}",
        LIMIT,
    ),
    Entry(
        "a macro that calls itself twice, 40 deep",
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}"
        "{{ m(40) }}",
        LIMIT,
    ),
    Entry(
        "a macro with large arguments",
        "{% macro m(n, x) %}{{ m(n + 1, x ~ x) }}{% endmacro %}{{ m(0, 'ab') }}",
        LIMIT,
    ),
    Entry(
        "a call block that calls itself",
        "{% macro m() %}{{ caller() }}{% call m() %}a{% endcall %}{% endmacro %}"
        "{% call m() %}a{% endcall %}",
        LIMIT,
    ),
    Entry(
        "a macro given to itself",
        "{% macro m(f) %}{{ f(f) }}{{ f(f) }}{% endmacro %}{{ m(m) }}",
        LIMIT,
    ),
    Entry(
        "a macro with an argument for each letter",
        "{% macro m(" + ",".join(f"a{n}" for n in range(30_000)) + ") %}{% endmacro %}{{ m() }}",
        OK,
    ),
    Entry("a macro in a macro", "{% macro m() %}" * 2000 + "{% endmacro %}" * 2000, SYNTAX),
    Entry("a macro that is printed", "{% macro m() %}a{% endmacro %}{{ m }}", SYNTAX),
    Entry("caller outside of a call", "{{ caller() }}", SYNTAX),
]

LOOPS: Final = [
    Entry("nested loops", often(""), LIMIT),
    Entry("loops that print", often("aaaaaaaaaaaaaaaa", 2), LIMIT),
    _heavy("loops that print large values", "{{ x }}", {"x": BIG}),
    # From a text that is too long to be sent to one that exceeds the memory.
    *(
        Entry(
            f"loops that print {size} letters",
            often("{{ x }}", 1),
            OK,
            LIMIT,
            {"x": SECRET + "a" * size},
        )
        for size in (3000, 6000, 9000, 12_000, 15_000, 18_000)
    ),
    Entry(
        "loops over a value",
        "{% for a in x %}" * 4 + "{% endfor %}" * 4,
        OK,
        LIMIT,
        {"x": [0] * 60_000},
    ),
    Entry("a recursive loop", "{% for a in x recursive %}{{ loop(x) }}{% endfor %}", LIMIT),
    Entry(
        "a recursive loop over a tree",
        "{% for a in x recursive %}{{ a.b }}{{ loop(a.c) }}{% endfor %}",
        values={"x": [{"b": 1, "c": [{"b": 2, "c": []}]}]},
        gives="12",
    ),
    Entry(
        "a recursive loop over itself",
        "{% for a in [1] recursive %}{{ loop([a, a]) }}{% endfor %}",
        LIMIT,
    ),
    _heavy("loop.cycle of much", "{{ loop.cycle(x, x) }}", {"x": SMALL}),
    _heavy("loop.changed of much", "{{ loop.changed(x) }}", {"x": [0] * 60_000}),
    Entry("loop.previtem of much", often("{{ loop.previtem is defined }}", 2), LIMIT),
    Entry("a loop that breaks", "{% for a in range(10) %}{% break %}{% endfor %}", OK, gives=""),
    Entry("break outside of a loop", "{% break %}", SYNTAX),
    _heavy("a loop with a condition", "{% for a in range(9) if x in x %}{% endfor %}", {"x": BIG}),
    _heavy("a loop over the letters of a text", "{% for a in x %}{% endfor %}", {"x": BIG}),
    Entry("a loop over a number", "{% for a in x %}{% endfor %}", OK, INVALID, {"x": 7}),
    Entry(
        "a capture that doubles",
        "{% set x = 'ab' %}" + "{% set x %}{{ x }}{{ x }}{% endset %}" * 60 + "{{ x }}",
        LIMIT,
    ),
    Entry(
        "a with that doubles",
        "{% with x = 'ab' %}" + "{% with x = x ~ x %}" * 60 + "{{ x }}" + "{% endwith %}" * 61,
        LIMIT,
    ),
    Entry("assignments without end", repeated("{% set a = [1] * 9 %}", TAGS), OK),
    Entry("a namespace in itself", "{% set a = namespace() %}{% set a.a = a %}{{ a }}", LIMIT),
    Entry("dict() that nests", grown("{}", "dict(a=ns.x, b=ns.x)") + "{{ ns.x }}", LIMIT),
    Entry(
        "dict() with large values",
        grown("{}", "dict(a=ns.x, b=x ~ i)", 5000),
        OK,
        LIMIT,
        {"x": BIG},
    ),
    Entry("cycler, which there is not", "{{ cycler('a').next() }}", SYNTAX),
    _heavy("joiner", "{% set j = joiner(x) %}{{ j() }}{{ j() }}", {"x": BIG}),
    Entry("lipsum, which there is not", "{{ lipsum(1000000) }}", SYNTAX),
    Entry("do", "{% do x.append(1) %}", OK, INVALID, {"x": [SECRET]}),
]


def _layers(partials: int, layers: int) -> tuple[tuple[str, str], ...]:
    """Return layers of partials, each of which includes all of the next when ``deep`` is "yes"."""
    found: list[tuple[str, str]] = []
    for layer in range(layers):
        below = [f"{{% include '§{layer - 1}-{number}' %}}" for number in range(partials)]
        inside = "".join(below) if layer else "a"
        body = f"{{% if deep == 'yes' %}}{inside}{{% endif %}}"
        found += [(f"{layer}-{number}", body) for number in range(partials)]
    return tuple(found)


def _tenfold(partials: int) -> tuple[tuple[str, str], ...]:
    """Return partials each of which includes the one before it ten times, when ``deep`` is."""
    found = [("p0", "a" * 10)]
    for number in range(1, partials):
        inside = f"{{% include '§p{number - 1}' %}}" * 10
        found.append((f"p{number}", f"{{% if deep == 'yes' %}}{inside}{{% endif %}}"))
    return tuple(found)


DEEP: Final = [{"name": "deep", "type": "string"}]

PARTIALS: Final = [
    Entry(
        "ten partials, each of which includes the next ten times",
        "{% include '§p9' %}",
        OK,
        LIMIT,
        {"deep": "yes"},
        before=_tenfold(10),
        schema=DEEP,
    ),
    Entry(
        "ten layers of five partials, each of which includes the five below",
        "".join(f"{{% include '§9-{number}' %}}" for number in range(5)),
        values={"deep": "no"},
        before=_layers(5, 10),
        schema=DEEP,
        gives="",
    ),
    Entry(
        "eleven partials, one below the other",
        "{% include '§p10' %}",
        LARGE,
        before=_tenfold(11),
        schema=DEEP,
    ),
    Entry("a partial in loops", often("{% include '§a' %}"), LIMIT, before=(("a", "{{ 1 }}"),)),
    Entry(
        "a partial that includes itself",
        "{% include '§a' %}",
        SYNTAX,
        before=(("a", "a"),),
        template="a",
    ),
    Entry(
        "partials that include each other",
        "{% include '§c' %}",
        SYNTAX,
        before=(("a", "a"), ("b", "{% include '§a' %}"), ("c", "{% include '§b' %}")),
        template="a",
    ),
    Entry(
        "a layout that extends itself",
        "{% extends '§a' %}",
        SYNTAX,
        before=(("a", "{% block x %}a{% endblock %}"),),
        template="a",
    ),
    Entry(
        "a partial that is included 3,000 times",
        "{% include '§a' %}" * 3000,
        before=(("a", "a"),),
        gives="a" * 3000,
    ),
    Entry(
        "5,000 partials that there are not",
        "".join(f"{{% include 'no{n}' %}}\n" for n in range(5000)),
        SYNTAX,
    ),
    Entry("a block that shows itself", "{% block a %}{{ self.a() }}{% endblock %}", LIMIT),
    Entry(
        "blocks that show each other",
        "{% block a %}{{ self.b() }}{% endblock %}{% block b %}{{ self.a() }}{% endblock %}",
        LIMIT,
    ),
    Entry(
        "super() in loops",
        "{% extends '§a' %}{% block x %}" + often("{{ super() }}") + "{% endblock %}",
        LIMIT,
        before=(("a", "{% block x %}a{% endblock %}"),),
    ),
    Entry("super() without a layout", "{% block x %}{{ super() }}{% endblock %}", SYNTAX),
    Entry(
        "blocks by the thousand",
        "".join(f"{{% block b{n} %}}{{% endblock %}}" for n in range(2000)),
    ),
    Entry(
        "a block that is there twice",
        "{% block a %}{% endblock %}{% block a %}{% endblock %}",
        SYNTAX,
    ),
    *(
        Entry(f"include of {name}", f"{{% include {what} %}}", SYNTAX)
        for name, what in {
            "a parent folder": "'../../etc/passwd'",
            "an absolute path": "'/etc/passwd'",
            "an encoded path": "'..%2f..%2fetc%2fpasswd'",
            "a Windows path": r"'..\\..\\boot.ini'",
            "a URL": "'file:///etc/passwd'",
            "a name with NUL": "'a\\x00b'",
            "a variable": "x",
            "a filtered name": "'a'|lower",
            "a sum": "'a' ~ 'b'",
            "a list": "['a', 'b']",
            "a missing one, ignored": "'nothing' ignore missing",
            "a name of 100,000 letters": f"'{'a' * 100_000}'",
            "nothing": "",
        }.items()
    ),
    Entry("import", "{% import '§a' as a %}{{ a.x }}", SYNTAX, before=(("a", "{% set x = 1 %}"),)),
    Entry(
        "from import", "{% from '§a' import x %}{{ x }}", SYNTAX, before=(("a", "{% set x = 1 %}"),)
    ),
    Entry("extends of a variable", "{% extends x %}", SYNTAX),
    Entry("two layouts", "{% extends '§a' %}{% extends '§a' %}", SYNTAX, before=(("a", "a"),)),
    Entry("a template that is no partial", "{% include '§main' %}", SYNTAX),
]

SIZES: Final = [
    *(
        Entry(f"256 KiB of {what}", repeated(what), SYNTAX)
        for what in (
            "{{",
            "{%",
            "{{ '\\'",
            "{{ (",
            "{% if x %}",
            "{% for a in x %}",
            "{% set a %}",
            "{{ a|",
            "{% raw %}",
        )
    ),
    Entry("32 KiB of {#", repeated("{#", 32_768), SYNTAX),
    Entry("256 KiB of }}", repeated("}}"), SYNTAX),
    Entry("16 KiB of {##}", repeated("{##}", TAGS), gives=""),
    Entry("16 KiB of {{''}}", repeated("{{''}}", TAGS), gives=""),
    Entry("16 KiB of prints", repeated("{{x}}", TAGS), values={"x": "a"}, gives="a" * (TAGS // 5)),
    Entry("16 KiB of prints of what is missing", repeated("{{x}}", TAGS), OK, INVALID),
    Entry("16 KiB of filters that there are not", repeated("{{1|no}}\n", TAGS), SYNTAX),
    Entry("256 KiB of escaped quotes", "{{ " + repeated("\\'", MOST - 3), SYNTAX),
    Entry("256 KiB of escaped double quotes", "{% if " + repeated('\\"', MOST - 6), SYNTAX),
    Entry("256 KiB of different quotes", "{{ " + repeated("\"'", MOST - 3), SYNTAX),
    Entry("256 KiB of style rules", repeated("{#a{}"), gives=repeated("{#a{}")),
    Entry("16 KiB of raw blocks", repeated("{%raw%}{{{%endraw%}", TAGS), gives="{{" * (TAGS // 19)),
    Entry("16 KiB of dashes", repeated("{{-''-}} ", TAGS), gives=""),
    Entry("256 KiB of a literal", "{{ '" + "a" * 262_000 + "'|length }}", gives="262000"),
    Entry("a list of 100,000 literals", "{{ [" + "1," * 100_000 + "]|length }}", gives="100000"),
    Entry("a literal of 250,000 digits", "{{ " + "9" * 250_000 + " }}", SYNTAX),
    Entry("a literal of 10**308", "{{ 1e308 * 10 }}", SYNTAX),
    Entry("100,000 brackets", "{{ " + "(" * 100_000 + "1" + ")" * 100_000 + " }}", SYNTAX),
    Entry("100,000 lists in lists", "{{ " + "[" * 100_000 + "]" * 100_000 + " }}", SYNTAX),
    Entry("50,000 objects in objects", "{{ " + "{1:" * 50_000 + "1" + "}" * 50_000 + " }}", SYNTAX),
    Entry("50,000 negations", "{{ " + "not " * 50_000 + "1 }}", LIMIT),
    Entry("100,000 signs", "{{ " + "- " * 100_000 + "1 }}", LIMIT),
    Entry("100,000 sums", "{{ 1" + "+1" * 100_000 + " }}", LIMIT),
    Entry("50,000 powers", "{{ 1" + "**1" * 50_000 + " }}", LIMIT),
    Entry("50,000 joined texts", "{{ 'a'" + "~'a'" * 50_000 + " }}", LIMIT),
    Entry("50,000 conditions", "{{ 1" + " if 1 else 1" * 20_000 + " }}"),
    Entry("50,000 members", "{{ x" + ".a" * 50_000 + " }}", LIMIT),
    Entry("50,000 indexes", "{{ x" + "[0]" * 50_000 + " }}", LIMIT),
    Entry("50,000 calls", "{{ x" + "()" * 50_000 + " }}", LIMIT),
    Entry("20,000 ifs in ifs", "{% if 1 %}" * 13_000 + "{% endif %}" * 10_000, SYNTAX),
    Entry("10,000 ifs that end", "{% if 1 %}" * 10_000 + "{% endif %}" * 10_000, SYNTAX),
    Entry("8,000 loops that end", "{% for a in x %}" * 8000 + "{% endfor %}" * 8000, SYNTAX),
    Entry(
        "100 loops that end",
        "{% for a in x %}" * 100 + "{% endfor %}" * 100,
        OK,
        LIMIT,
        {"x": [1, 2]},
    ),
    Entry("20,000 elifs", "{% if 0 %}" + "{% elif 0 %}" * 20_000 + "{% endif %}", LIMIT),
    Entry("a name of 200,000 letters", "{{ " + "a" * 200_000 + " }}", SYNTAX),
    Entry(
        "50 guarded names and slow work",
        "".join(f"{{{{ v{n}|d(1) }}}}" for n in range(50)) + SLOW,
        LIMIT,
    ),
    Entry(
        "50 translations and slow work",
        SLOW,
        LIMIT,
        translations=dict.fromkeys(LANGUAGES.split(), SLOW),
    ),
    Entry("5,000 names", "".join(f"{{{{v{n}}}}}" for n in range(5000)), LARGE),
    Entry("a body of 256 KiB and one byte", "a" * (MOST + 1), LARGE),
    Entry("an output of 2 MiB and one byte", "{{ x * 16 }}b", OK, LIMIT, {"x": "a" * 131_072}),
]

ESCAPES: Final = [
    Entry("safe", "{{ x|safe }}", SYNTAX),
    Entry("safe in a filter block", "{% filter safe %}{{ x }}{% endfilter %}", SYNTAX),
    Entry("safe as a value", "{{ ['<b>']|map(x)|list }}", SYNTAX),
    Entry("autoescape", "{% autoescape false %}{{ x }}{% endautoescape %}", SYNTAX),
    Entry("autoescape by json", "{% autoescape 'json' %}{{ x }}{% endautoescape %}", SYNTAX),
    Entry(
        "autoescape after a newline", "{%\nautoescape false\n%}{{ x }}{% endautoescape %}", SYNTAX
    ),
    Entry(
        "autoescape after an escape",
        "{% raw %}{% endraw %}{%- autoescape false %}{{ x }}{% endautoescape %}",
        SYNTAX,
    ),
    Entry("debug", "{{ debug() }}", SYNTAX),
    Entry("the class of a text", "{{ ''.__class__ }}", SYNTAX),
    Entry("the class of a value", "{{ x.__class__.__mro__ }}", OK, INVALID, {"x": SECRET}),
    Entry("the class of an object", "{{ x.__class__ }}", OK, INVALID, {"x": {"a": SECRET}}),
    Entry(
        "the class by attr",
        "{{ x|attr('__class__')|attr('__mro__') }}",
        OK,
        INVALID,
        {"x": [SECRET]},
    ),
    Entry("the class by index", "{{ x['__class__']['__base__'] }}", OK, INVALID, {"x": [SECRET]}),
    Entry(
        "the class by map",
        "{{ [x]|map(attribute='__class__.__mro__')|list }}",
        OK,
        INVALID,
        {"x": [SECRET]},
    ),
    Entry(
        "the globals of a method", "{{ x.items.__globals__ }}", OK, INVALID, {"x": {"a": SECRET}}
    ),
    Entry("the self of a method", "{{ x.items.__self__ }}", OK, INVALID, {"x": {"a": SECRET}}),
    Entry("the call of a method", "{{ x.items._call }}", OK, INVALID, {"x": {"a": SECRET}}),
    Entry("a method that is printed", "{{ x.items }}", OK, INVALID, {"x": {"a": SECRET}}),
    Entry("the globals of a macro", "{% macro m() %}{% endmacro %}{{ m.__globals__ }}", SYNTAX),
    Entry("the globals of range", "{{ range.__globals__ }}", SYNTAX),
    Entry(
        "the globals of cycle", "{% for a in [1] %}{{ loop.cycle.__globals__ }}{% endfor %}", SYNTAX
    ),
    Entry("the builtins", "{{ __builtins__ }}{{ __import__('os') }}", SYNTAX),
    Entry("the self of a template", "{{ self.__class__ }}", SYNTAX),
    Entry("self as a value", "{{ self }}", SYNTAX),
    Entry("pop of an object", "{{ x.pop('a') }}{{ x.a }}", OK, INVALID, {"x": {"a": SECRET}}),
    Entry("clear of an object", "{{ x.clear() }}", OK, INVALID, {"x": {"a": SECRET}}),
    Entry("update of an object", "{{ x.update(x) }}", OK, INVALID, {"x": {"a": SECRET}}),
    Entry(
        "append to an array",
        "{% for a in x %}{{ x.append(a) }}{% endfor %}",
        OK,
        INVALID,
        {"x": [SECRET]},
    ),
    Entry("get of an object", "{{ x.get('a') }}", OK, OK, {"x": {"a": "b"}}, "b"),
    Entry("get that is not hashable", "{{ x.get([x]) }}", OK, INVALID, {"x": {"a": SECRET}}),
    Entry("get with too much", "{{ x.get(1, 2, 3, 4) }}", OK, INVALID, {"x": {"a": SECRET}}),
    Entry("an object as a key", "{{ {x: 1}|length }}", OK, OK, {"x": {"a": SECRET}}, "1"),
    Entry("an object as arguments", "{{ x.items(**x) }}", OK, INVALID, {"x": {"a": SECRET}}),
    Entry(
        "the class in a format",
        "{{ '{0.__class__}'.format(x) }}",
        OK,
        INVALID,
        {"x": {"a": SECRET}},
    ),
    Entry(
        "the class in a format by index",
        "{{ '{0[__class__]}'.format(x) }}",
        OK,
        INVALID,
        {"x": {"a": SECRET}},
    ),
    Entry(
        "the class in a format by name",
        "{{ '{x.__init__.__globals__}'.format(x=x) }}",
        OK,
        INVALID,
        {"x": {"a": SECRET}},
    ),
    Entry("format_map", "{{ '{a}'.format_map(x) }}", OK, INVALID, {"x": {"a": SECRET}}),
    Entry(
        "a format of a value that escapes",
        "{{ '%s'|format(x) }}",
        OK,
        OK,
        {"x": "<b>"},
        "&lt;b&gt;",
    ),
    Entry(
        "a join that escapes",
        "{{ ['<i>', x]|join('<u>') }}",
        OK,
        OK,
        {"x": "<b>"},
        "&lt;i&gt;&lt;u&gt;&lt;b&gt;",
    ),
    Entry(
        "tojson that escapes",
        "{{ x|tojson }}",
        OK,
        OK,
        {"x": "</script>"},
        "&quot;&lt;/script&gt;&quot;",
    ),
    Entry("escape twice", "{{ x|e|e }}", OK, OK, {"x": "<"}, "&lt;"),
    Entry(
        "a capture that escapes",
        "{% set a %}{{ x }}{% endset %}{{ a }}",
        OK,
        OK,
        {"x": "<"},
        "&lt;",
    ),
    Entry(
        "a raw block in a value", "{{ x }}", OK, OK, {"x": "{% raw %}{{ x }}"}, "{% raw %}{{ x }}"
    ),
    Entry(
        "a comment that hides the end of a raw block",
        "{% raw %}{#{% endraw %}{{ x }}{% raw %}#}{% endraw %}",
        OK,
        OK,
        {"x": "<"},
        "{#&lt;#}",
    ),
    Entry("a raw block that is not closed", "{% raw %}{{ x }}", SYNTAX),
    Entry("raw in raw", "{% raw %}{% raw %}{% endraw %}{% endraw %}", SYNTAX),
    Entry("a comment that is not closed", "{# {{ x }}", SYNTAX),
    Entry("a comment in a string", "{{ '{#' }}{{ x }}{{ '#}' }}", OK, OK, {"x": "a"}, "{#a#}"),
    Entry("the byte that marks comments", "{\x1f {{ x }} }", SYNTAX),
    Entry(
        "line statements",
        "# for a in x:\n{{ a }}\n# endfor",
        OK,
        OK,
        {"a": "b"},
        "# for a in x:\nb\n# endfor",
    ),
]

SUBJECTS: Final = [
    Entry(
        "a header in a subject",
        "a",
        subject="Hi {{ x }}",
        values={"x": "A\r\nBcc: b@example.org"},
        subject_gives="Hi A Bcc: b@example.org",
    ),
    Entry(
        "line separators in a subject",
        "a",
        subject="Hi {{ x }}",
        values={"x": "A\u2028B\u2029C\x85D\x0bE\x0cF"},
        subject_gives="Hi A B C D E F",
    ),
    Entry(
        "NUL in a subject", "a", subject="Hi {{ x }}", values={"x": "A\x00B"}, subject_gives="Hi AB"
    ),
    Entry(
        "bidi controls in a subject",
        "a",
        subject="Hi {{ x }}",
        values={"x": "A\u202eB\u2066C"},
        subject_gives="Hi ABC",
    ),
    Entry(
        "line breaks in the source of a subject",
        "a",
        subject="Hi\r\nBcc: {{ x }}",
        values={"x": "A"},
        subject_gives="Hi Bcc: A",
    ),
    Entry(
        "line breaks that a subject makes",
        "a",
        subject="{{ '\\r\\n' }}Hi{{ '\\u2028' }}A",
        subject_gives="Hi A",
    ),
    Entry("a subject of 999 characters", "a", OK, LIMIT, {"x": "é" * 999}, subject="{{ x }}"),
    Entry(
        "a subject of 2 KiB of breaks",
        "a",
        OK,
        OK,
        {"x": "\r\n" * 60_000},
        subject="A{{ x }}B",
        subject_gives="A B",
    ),
    Entry("a subject of 2 KiB and one byte", "a", LARGE, subject="a" * 2049),
    Entry("a bomb in a subject", "a", LIMIT, subject=often("")),
    Entry(
        "a subject with an include",
        "a",
        OK,
        subject="{% include '§a' %}",
        before=(("a", "x\r\ny"),),
        subject_gives="x y",
    ),
    Entry(
        "encoded words in a subject",
        "a",
        subject="{{ x }}",
        values={"x": "=?utf-8?q?=0D=0ABcc:?="},
        subject_gives="=?utf-8?q?=0D=0ABcc:?=",
    ),
]

VALUES: Final = [
    Entry("NUL in a value", "{{ x }}", values={"x": "a\x00b"}, gives="a\ufffdb"),
    Entry("NUL in a source", "a\x00{{ x }}", MESSAGE),
    Entry("bidi in a value", "{{ x }}", values={"x": "a\u202eb"}, gives="a\u202eb"),
    Entry("a lone surrogate", "{{ x }}", OK, MESSAGE, '{"x": "\\ud800"}'),
    Entry("a lone surrogate in a key", "{{ x }}", OK, MESSAGE, '{"x": {"\\udfff": 1}}'),
    Entry(
        "100,000 arrays in arrays",
        "{{ x }}",
        OK,
        MESSAGE,
        '{"x": ' + "[" * 100_000 + "]" * 100_000 + "}",
    ),
    Entry(
        "40,000 objects in objects",
        "{{ x }}",
        OK,
        MESSAGE,
        '{"x": ' + '{"a":' * 40_000 + "1" + "}" * 40_000 + "}",
    ),
    Entry("65 arrays in arrays", "{{ x }}", OK, MESSAGE, '{"x": ' + "[" * 65 + "]" * 65 + "}"),
    Entry(
        "60 arrays in arrays",
        "{{ x|tojson }}",
        OK,
        OK,
        '{"x": ' + "[" * 60 + "]" * 60 + "}",
        "[" * 60 + "]" * 60,
    ),
    Entry("a number of 10,000 digits", "{{ x }}", OK, MESSAGE, '{"x": ' + "9" * 10_000 + "}"),
    Entry("a number of 4,000 digits", "{{ x }}", OK, OK, {"x": 10**3999}, str(10**3999)),
    Entry("a number of 4,000 digits, reckoned with", "{{ x + 1 }}", OK, INVALID, {"x": 10**3999}),
    Entry("1e308", "{{ x }}", values={"x": 1e308}),
    Entry("1e308 times 10", "{{ x * 10 }}", OK, INVALID, {"x": 1e308}),
    Entry("1e999", "{{ x }}", OK, MESSAGE, '{"x": 1e999}'),
    Entry("NaN", "{{ x }}", OK, MESSAGE, '{"x": NaN}'),
    Entry("-0", "{{ x }}", values='{"x": -0}', gives="0"),
    Entry("-0.0", "{{ x }}", values='{"x": -0.0}', gives="-0.0"),
    Entry("the smallest number", "{{ x }}", values={"x": -(2**63)}, gives=str(-(2**63))),
    Entry("the largest number and one", "{{ x + 1 }}", values={"x": 2**63 - 1}, gives=str(2**63)),
    Entry("beyond 64 bits, and one", "{{ x + 1 }}", values={"x": 2**63}, gives=str(2**63 + 1)),
    Entry("a key that is there twice", "{{ x }}", values='{"x": 1, "x": 2}', gives="2"),
    Entry("a key without letters", "{{ x['']|tojson }}", values={"x": {"": 1}}, gives="1"),
    Entry(
        "20,000 values that nobody asked for",
        "{{ x }}",
        OK,
        OK,
        {"x": "a"} | {f"k{n}": 1 for n in range(20_000)},
        "a",
    ),
    Entry(
        "20,000 values and none that was asked for",
        "{{ x }}",
        OK,
        INVALID,
        {f"k{n}": 1 for n in range(20_000)},
    ),
    Entry("a value of 256 KiB", "{{ x }}", OK, OK, {"x": "<" * 262_000}, "&lt;" * 262_000),
    Entry("values of 256 KiB and one byte", "{{ x }}", OK, LARGE, {"x": "a" * (MOST - 7)}),
    Entry("a null", "{{ x }}", OK, INVALID, {"x": None}),
    Entry("a null in an array", "{{ x }}", OK, INVALID, {"x": [None, SECRET]}),
    Entry(
        "kombu's types",
        "{{ x }}",
        OK,
        OK,
        '{"x": {"__type__": "datetime", "__value__": "2026-01-31T00:00:00"}}',
        "2026-01-31T00:00:00",
    ),
    Entry(
        "template text in a value",
        "{{ x }}",
        OK,
        OK,
        {"x": "{{ 7 * 7 }}{% include 'a' %}"},
        "{{ 7 * 7 }}{% include &#x27;a&#x27; %}",
    ),
    Entry(
        "marks of the text alternative",
        "<a href='{{ x }}'>{{ x }}</a>",
        values={"x": "\x10\x11\x12\x13\x14\x15\x16\x17" * 5000},
    ),
    Entry("marks of links", "{{ x }}", values={"x": "\x15" * 20_000 + "\x16" * 20_000}),
    Entry("marks of links in pairs", "{{ x }}", values={"x": "\x15a\x16b\x17" * 12_000}),
    Entry(
        "spaces without end", "<a href='{{ x }}'>{{ x }}</a>", values={"x": " \n\u00a0" * 50_000}
    ),
]

NAMES: Final = [
    *(
        Entry(f"a value named {name}", f"{{{{ {name} }}}}", OK, OK, {name: "a"}, "a", schema=[name])
        for name in (
            "items",
            "get",
            "list",
            "currency",
            "date",
            "safe",
            "_",
            "__class__",
            "include",
            "if",
            "in",
        )
    ),
    *(
        Entry(
            f"a value named {name}, which is the engine's",
            f"{{{{ {name} }}}}",
            MESSAGE,
            schema=[name],
        )
        for name in ("loop", "self", "super", "caller", "none", "true", "false")
    ),
    *(
        Entry(
            f"a value named {name}, which is a word of the language",
            f"{{{{ {name} }}}}",
            SYNTAX,
            schema=[name],
        )
        for name in ("not",)
    ),
    *(
        Entry(f"a member named {name}", f"{{{{ x.{name} }}}}", OK, OK, {"x": {name: "a"}}, "a")
        for name in ("items", "get", "keys", "values", "pop", "__class__", "none", "if")
    ),
    Entry("a value named range", "{{ range }}", OK, OK, {"range": "a"}, "a", schema=["range"]),
    Entry("a value named dict", "{{ dict }}", OK, OK, {"dict": "a"}, "a", schema=["dict"]),
    Entry(
        "a value named namespace",
        "{{ namespace }}",
        OK,
        OK,
        {"namespace": "a"},
        "a",
        schema=["namespace"],
    ),
    Entry("a loop named loop", "{% for loop in [1] %}{{ loop }}{% endfor %}", SYNTAX),
    Entry("a set of loop", "{% set loop = 1 %}{{ loop }}", SYNTAX),
    Entry("a set of self", "{% set self = 1 %}{{ self }}", SYNTAX),
    Entry("a set of a filter's name", "{% set upper = 1 %}{{ 'a'|upper }}", gives="A"),
    Entry("a macro named range", "{% macro range() %}a{% endmacro %}{{ range() }}", gives="a"),
    Entry("letters that look alike", "{{ n\u0430me }}", SYNTAX),
    Entry("members in a name that nobody declared", "{{ user.name }}", MISMATCH, schema=["other"]),
]

LOCALES: Final = [
    Entry("currency of 10**400", "{{ x|currency('EUR') }}", OK, INVALID, {"x": 10**400}),
    Entry(
        "currency of text of 250,000 digits",
        "{{ x|currency('EUR') }}",
        OK,
        INVALID,
        {"x": "9" * 250_000},
    ),
    Entry("currency of 1e308", "{{ x|currency('EUR') }}", OK, INVALID, {"x": 1e308}),
    Entry("currency of NaN", "{{ x|currency('EUR') }}", OK, INVALID, {"x": "NaN"}),
    Entry("currency of -0.0", "{{ x|currency('EUR') }}", OK, OK, {"x": -0.0}, "€0.00"),
    Entry("currency of other digits", "{{ x|currency('EUR') }}", OK, INVALID, {"x": "١٢٣"}),
    Entry("currency of a bool", "{{ x|currency('EUR') }}", OK, INVALID, {"x": True}),
    Entry("an unknown currency", "{{ 1|currency('€€€') }}", SYNTAX),
    Entry("a currency of a value", "{{ 1|currency(x) }}", OK, INVALID, {"x": SECRET}),
    Entry("10**9 digits", "{{ 1|number(1000000000) }}", SYNTAX),
    Entry("10**9 digits by name", "{{ 1|currency('EUR', digits=1000000000) }}", SYNTAX),
    Entry("-1 digits", "{{ 1|percent(-1) }}", SYNTAX),
    Entry("digits of a value", "{{ 1|number(x) }}", OK, INVALID, {"x": 10**17}),
    Entry("percent of 1e308", "{{ x|percent }}", OK, INVALID, {"x": 1e308}),
    Entry(
        "a date pattern of 100,000 fields",
        "{{ '2026-01-31'|date('" + "y" * 100_000 + "') }}",
        SYNTAX,
    ),
    Entry("a date pattern of 100 fields", "{{ '2026-01-31'|date('" + "y" * 100 + "') }}", OK),
    Entry(
        "a date pattern of a value", "{{ '2026-01-31'|date(x) }}", OK, INVALID, {"x": "y" * 200_000}
    ),
    Entry("a date pattern of quotes", "{{ '2026-01-31'|date(x) }}", OK, INVALID, {"x": "'" * 99}),
    Entry(
        "a date pattern that opens a file", "{{ '2026-01-31'|date('%s/../../etc/passwd') }}", SYNTAX
    ),
    Entry(
        "a date of 250,000 letters",
        "{{ x|date }}",
        OK,
        INVALID,
        {"x": "2026-01-31" + "T" * 200_000},
    ),
    Entry("a date in the year 0", "{{ x|date }}", OK, INVALID, {"x": "0000-01-01"}),
    Entry(
        "a date before time zones",
        "{{ x|datetime(timezone='America/New_York') }}",
        OK,
        INVALID,
        {"x": "0001-01-01T00:00:00Z"},
    ),
    Entry(
        "a date at the end of time",
        "{{ x|datetime(timezone='Asia/Tokyo') }}",
        OK,
        INVALID,
        {"x": "9999-12-31T23:59:59Z"},
    ),
    Entry("a date that is a number", "{{ x|date }}", OK, INVALID, {"x": 10**17}),
    Entry(
        "a time zone that is a path", "{{ '2026-01-31'|date(timezone='../../etc/passwd') }}", SYNTAX
    ),
    Entry(
        "a time zone that is an absolute path",
        "{{ '2026-01-31'|date(timezone='/etc/passwd') }}",
        SYNTAX,
    ),
    Entry(
        "a time zone of a value",
        "{{ '2026-01-31'|date(timezone=x) }}",
        OK,
        INVALID,
        {"x": "../" * 50_000},
    ),
    Entry("a time zone in other case", "{{ '2026-01-31'|date(timezone='europe/berlin') }}", SYNTAX),
    Entry(
        "a plural form of 250,000 letters",
        "{{ 1|plural(one='" + "a" * 250_000 + "', other='a') }}",
        SYNTAX,
    ),
    Entry(
        "a plural form of numbers",
        "{{ x|plural(one='a', other='" + "#" * 2000 + "') }}",
        OK,
        OK,
        {"x": 10**17},
    ),
    Entry("a plural form of a value", "{{ 1|plural(one=x, other=x) }}", SYNTAX),
    Entry(
        "a plural form of values",
        "{{ 1|plural(one='' ~ x, other='' ~ x) }}",
        OK,
        INVALID,
        {"x": BIG},
    ),
    Entry(
        "an unknown plural form",
        "{{ 1|plural(one='a', other='b', __class__='c') }}",
        SYNTAX,
    ),
    Entry(
        "plurals in loops",
        often("{{ 5|plural(one='a', other='" + "#" * 2000 + "')|length }}"),
        LIMIT,
    ),
    Entry("a plural of text", "{{ x|plural(one='a', other='b') }}", OK, INVALID, {"x": SECRET}),
    Entry("a list of 100,000 items", "{{ x|list }}", OK, INVALID, {"x": [1] * 100_000}),
    Entry("a list of much text", "{{ x|list }}", OK, INVALID, {"x": [BIG]}),
    Entry(
        "a list of braces",
        "{{ x|list }}",
        OK,
        OK,
        {"x": ["{0}", "{1.__class__}", "{}"]},
        "{0}, {1.__class__}, and {}",
    ),
    Entry("a list of lists", "{{ x|list }}", OK, INVALID, {"x": [[SECRET]]}),
    _heavy("a list in loops", "{{ x|list|length }}", {"x": [1] * 1000}),
    Entry("a list of another style", "{{ ['a']|list('__class__') }}", SYNTAX),
    Entry("a filter without its argument", "{{ 1|currency }}", SYNTAX),
    Entry("a filter with too many arguments", "{{ 1|number(1, 2, 3) }}", SYNTAX),
    Entry("a filter with an unknown argument", "{{ 1|number(language='de') }}", SYNTAX),
    Entry("a filter on a macro", "{% macro m() %}{% endmacro %}{{ m|number }}", SYNTAX),
    Entry("a filter on range", "{{ range|currency('EUR') }}", SYNTAX),
]


def _killer(text: str, size: int = MOST // 4) -> Entry:
    """Return HTML after a value; the word makes every address be looked at.

    A quarter of the largest body is enough to see work that grows with the square of the size.
    """
    start = "{{ x }} javascript: "
    # JSON has six characters for a control, and a message has a limit too.
    size = size // 2 if text[0] < " " else size
    body = start + repeated(text, size - len(start))
    gives = body.replace("{{ x }}", "a")
    return Entry(f"a page of {size // 1024} KiB of {text!r}", body, values={"x": "a"}, gives=gives)


PAGES: Final = [
    *(
        _killer(text)
        for text in (
            "<",
            "<a ",
            '<a href="',
            "<a href='",
            "<a href=javascript:x ",
            '<a href="javascript:x">',
            '"',
            "<!--",
            "<!-- -",
            "-->",
            "--!",
            "&",
            "&#",
            "&amp",
            "&#x3a",
            "href=",
            "<a b c d/",
            "<a =",
            "</",
            "</a",
            "<p>",
            "<div>",
            "<li>",
            "<table><tr><td>",
            "<script>",
            "<style>",
            "<title>",
            "<textarea>",
            "<svg>",
            "<!--[if mso]>",
            "<![CDATA[",
            "<?",
            "<br>",
            " ",
            "\n",
            "\x15",
            "\x15\x16",
            "<a href=b>",
            "<img alt='",
            "<b style='display:none'>",
            "<b hidden>",
            "]]>",
            "\uff41",
        )
    ),
    *(_killer(text, MOST) for text in ("<", "<a href=b>", "&", "\x15")),
    Entry(
        "a page of values", repeated('<a href="{{x}}">{{x}}</a>', TAGS), values={"x": "javascript"}
    ),
    Entry(
        "a page of conditions",
        repeated('<a {% if x %}href="{{x}}"{% endif %}>{{x}}</a>', TAGS),
        values={"x": "a"},
    ),
    Entry(
        "conditions in tags",
        "<a " + repeated("{% if x %}b='{% endif %}", TAGS) + ">{{ x }}",
        OK,
        OK,
        {"x": "a"},
    ),
    Entry("a value in a script", "<script>var a = '{{ x }}'</script>", SYNTAX),
    Entry("a value in a handler", '<p onclick="{{ x }}">', SYNTAX),
    Entry("a value without quotes", "<p title={{ x }}>", SYNTAX),
    Entry("a value as a tag", "<{{ x }}>", SYNTAX),
    Entry("a value as an attribute", "<p {{ x }}>", SYNTAX),
    Entry("a value in srcdoc", '<iframe srcdoc="{{ x }}"></iframe>', SYNTAX),
    Entry(
        "a value that leaves its attribute",
        '<p title="{{ x }}">',
        OK,
        OK,
        {"x": '" onclick="a'},
        '<p title="&quot; onclick=&quot;a">',
    ),
    Entry(
        "a value that leaves its attribute by tojson",
        "<p title='{{ x|tojson }}'>",
        OK,
        OK,
        {"x": "' a"},
        "<p title='&quot;&#x27; a&quot;'>",
    ),
    Entry(
        "a value that ends a comment",
        "<!-- {{ x }} -->",
        OK,
        OK,
        {"x": "--><b>"},
        "<!-- --&gt;&lt;b&gt; -->",
    ),
    Entry(
        "a value that ends a title",
        "<title>{{ x }}</title>",
        OK,
        OK,
        {"x": "</title>"},
        "<title>&lt;/title&gt;</title>",
    ),
    Entry(
        "a partial that leaves an attribute",
        "<p title=\"{% include '§a' %}\">",
        OK,
        OK,
        {"x": '"'},
        before=(("a", "{{ x }}"),),
    ),
    Entry(
        "a partial in a handler",
        "<p onclick=\"{% include '§a' %}\">",
        SYNTAX,
        before=(("a", "{{ x }}"),),
    ),
]


def _address(name: str, value: str, *, code: str = INVALID, html: str = "") -> Entry:
    body = html or '<a href="{{ x }}">x</a>'
    return Entry(f"an address, {name}", body, OK, code, {"x": value})


ADDRESSES: Final = [
    _address("plain", "javascript:alert(1)"),
    _address("in mixed case", "JaVaScRiPt:alert(1)"),
    _address("with a tab", "java\tscript:alert(1)"),
    _address("with a line break", "java\r\nscript:alert(1)"),
    _address("with a break before the colon", "javascript\n:alert(1)"),
    _address("after a control character", "\x01javascript:alert(1)"),
    _address("after spaces", " \x1f \x01 javascript:alert(1)"),
    _address("after 30,000 control characters", "\x01" * 30_000 + "javascript:alert(1)"),
    _address("with 80,000 tabs", "java" + "\t" * 80_000 + "script:alert(1)"),
    _address("encoded as entities", "javascript&#58;alert(1)", code=OK),
    _address("encoded as entities, all of it", "&#106;avascript:alert(1)", code=OK),
    _address("encoded for URLs", "javascript%3aalert(1)", code=OK),
    _address("of another scheme", "https://example.org/?javascript:", code=OK),
    _address("data", "data:text/html,<script>alert(1)</script>"),
    _address("data in base 64", "DATA:text/html;base64,PHNjcmlwdD4="),
    _address("vbscript", "vbscript:msgbox(1)"),
    _address("in src", "javascript:alert(1)", html="<iframe src='{{ x }}'></iframe>"),
    _address("data in src", "data:text/html,a", html="<iframe src='{{ x }}'></iframe>"),
    _address(
        "a drawing that is loaded",
        "data:image/svg+xml,<svg onload=a>",
        code=OK,
        html="<img src='{{ x }}'>",
    ),
    _address(
        "a drawing in a frame",
        "data:image/svg+xml,<svg onload=a>",
        html="<iframe src='{{ x }}'></iframe>",
    ),
    _address(
        "a drawing in an object",
        "data:image/svg+xml,<svg onload=a>",
        html="<object data='{{ x }}'></object>",
    ),
    _address(
        "a drawing in an embed", "data:image/svg+xml,<svg onload=a>", html="<embed src='{{ x }}'>"
    ),
    _address("in action", "javascript:alert(1)", html="<form action='{{ x }}'></form>"),
    _address("in formaction", "javascript:alert(1)", html="<button formaction='{{ x }}'></button>"),
    _address(
        "in xlink:href", "javascript:alert(1)", html="<svg><a xlink:href='{{ x }}'></a></svg>"
    ),
    _address(
        "in an attribute in capitals", "javascript:alert(1)", html="<A\nHREF\n=\n'{{ x }}'>x</A>"
    ),
    _address("after a slash", "javascript:alert(1)", html="<a/href='{{ x }}'>x</a>"),
    _address(
        "in a refresh",
        "0;url=javascript:alert(1)",
        html="<meta http-equiv='refresh' content='{{ x }}'>",
    ),
    _address(
        "in an animation",
        "javascript:alert(1)",
        html="<svg><a><set attributeName='href' to='{{ x }}'/></a></svg>",
    ),
    _address(
        "in an Outlook comment",
        "javascript:alert(1)",
        html="<!--[if mso]><a href='{{ x }}'>x</a><![endif]-->",
    ),
    _address("after the start of it", "script:alert(1)", html="<a href='java{{ x }}'>x</a>"),
    _address("after an entity", "cript:alert(1)", html="<a href='&#106avas{{ x }}'>x</a>"),
    _address("before a colon", "javascript", html="<a href='{{ x }}:alert(1)'>x</a>"),
    _address(
        "before a colon as an entity", "javascript", html="<a href='{{ x }}&colon;alert(1)'>x</a>"
    ),
    _address(
        "before a number as an entity",
        "javascript",
        html="<a href='{{ x }}&#x0003A;alert(1)'>x</a>",
    ),
    _address(
        "around a tab as an entity", "java", html="<a href='{{ x }}&Tab;script:alert(1)'>x</a>"
    ),
    _address("in a default", "javascript:alert(1)", html="<a href='{{ y|d(x) }}'>x</a>"),
    _address(
        "in a capture",
        "javascript:alert(1)",
        html="{% set y %}{{ x }}{% endset %}<a href='{{ y }}'>x</a>",
    ),
    _address(
        "in letters",
        "javascript:alert(1)",
        html="<a href='{% for a in x %}{{ a }}{% endfor %}'>x</a>",
    ),
    Entry(
        "an address, split over two placeholders",
        "<a href='{{ x }}{{ y }}'>x</a>",
        OK,
        INVALID,
        {"x": "java", "y": "script:alert(1)"},
    ),
    Entry(
        "an address, in a partial",
        "{% include '§a' %}",
        OK,
        INVALID,
        {"x": "javascript:a"},
        before=(("a", "<a href='{{ x }}'>x</a>"),),
    ),
    Entry(
        "an address, declared as a URL",
        "<a href='{{ x }}'>x</a>",
        OK,
        INVALID,
        {"x": "javascript:a"},
        schema=[{"name": "x", "type": "url"}],
    ),
    Entry("an address, of the author", "<a href='javascript:a()'>{{ x }}</a>", OK, OK, {"x": "a"}),
]

CORPUS: Final = {
    "operators": OPERATORS,
    "filters": FILTERS,
    "macros": MACROS,
    "loops": LOOPS,
    "partials": PARTIALS,
    "sizes": SIZES,
    "escapes": ESCAPES,
    "subjects": SUBJECTS,
    "values": VALUES,
    "names": NAMES,
    "locales": LOCALES,
    "pages": PAGES,
    "addresses": ADDRESSES,
}

_BY_NAME: Final = {entry.name: entry for entries in CORPUS.values() for entry in entries}

END_TO_END: Final = [
    *(
        _BY_NAME[name]
        for name in (
            # Time, at publishing and at rendering.
            "doubling a list",
            "sort",
            "50 guarded names and slow work",
            "50 translations and slow work",
            # Memory.
            "doubling with ~",
            "loops that print large values",
            # Depth, of the parser and of a value that is printed.
            "100,000 sums",
            "tojson of depth",
            # Steps of the engine, and its own depth.
            "nested loops",
            "a macro that calls itself",
            # Sizes: body, subject, values, output, names, partials.
            "a body of 256 KiB and one byte",
            "a subject of 2 KiB and one byte",
            "a subject of 999 characters",
            "values of 256 KiB and one byte",
            "a value of 256 KiB",
            "an output of 2 MiB and one byte",
            "loops that print 6000 letters",
            "5,000 names",
            "eleven partials, one below the other",
            "ten partials, each of which includes the next ten times",
            # The other codes.
            "a tower of powers",
            "a partial that includes itself",
            "text times a value",
            "the class of a value",
            "currency of 10**400",
            "an address, plain",
            "NUL in a source",
            "members in a name that nobody declared",
            # Accepted, whatever they look like.
            "a header in a subject",
            "template text in a value",
            "a page of 256 KiB of '<'",
            "a page of 128 KiB of '\\x15'",
            "20,000 values that nobody asked for",
        )
    ),
    # Their JSON is read by the worker's own decoder only.
    *(entry for entry in _BY_NAME.values() if isinstance(entry.values, str)),
]
"""Those that are also sent to a real worker: every code, every limit, each end of a process."""
