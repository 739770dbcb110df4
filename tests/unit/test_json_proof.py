"""The proof that a JSON body is JSON for all values: each way through conditions and loops."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.rendering.trials.json_proof import unproved
from tests.support.alarm import LONG, soon
from tests.support.cases import each

QUICK = settings(max_examples=100, deadline=None)
COMMA = "{% if not loop.last %},{% endif %}"
BRACKETS_IN_THE_LOOP = (
    "{% for i in l %}{% if loop.first %}[{% endif %}{{ i }}"
    "{% if loop.last %}]{% else %},{% endif %}{% else %}[]{% endfor %}"
)
NESTED = f"[{{% for s in l %}}[{{% for i in s %}}1{COMMA}{{% endfor %}}]{COMMA}{{% endfor %}}]"
DEFINED = (
    '{ {% if a is defined %}"a": 1{% else %}"b": 2{% endif %}'
    '{% if a is not defined %}, "c": 3{% endif %} }'
)
COUNTED = (
    "[{% set ns = namespace(n=0) %}{% for i in l %}{% if i.ok %}{% if ns.n %},{% endif %}{{ i }}"
    "{% set ns.n = 1 %}{% endif %}{% endfor %}]"
)


@each(
    "source",
    [
        "{{ x }}",
        '"{{ x }}"',
        ' [1, -2.5e3, true, false, null, {}, [], "a\\n\\u00e9\\""] ',
        '{"{{ k }}": {{ v }}, "a": "b{{ v }}c"}',
        f"[{{% for i in l %}}{{{{ i }}}}{COMMA}{{% endfor %}}]",
        "[{% for i in l %}{% if not loop.first %},{% endif %}{{ i }}{% endfor %}]",
        "[{% for i in l %}{% if loop.index > 1 %}, {% endif %}{{ i }}{% endfor %}]",
        "[{% for i in l %}{% if loop.index0 %}, {% endif %}{{ i }}{% endfor %}]",
        "[{% for i in l %}{{ i }}{% if loop.index < loop.length %},{% endif %}{% endfor %}]",
        "[{% for i in l %}{{ i }}{% if loop.last %}{% else %},{% endif %}{% endfor %}]",
        "[{% for i in l %}{{ i }},{% endfor %}0]",
        "[0{% for i in l %},{{ i }}{% endfor %}]",
        BRACKETS_IN_THE_LOOP,
        f"[{{% for i in l if i.ok %}}{{{{ i }}}}{COMMA}{{% endfor %}}]",
        NESTED,
        '{"a": 1{% if x %}, "b": 2{% endif %}}',
        '{"a": {% if x > 3 and y %}1{% elif z %}"b"{% else %}null{% endif %}}',
        '{ {% if a %}"a": 1{% endif %}{% if a and b %}, "b": 2{% endif %} }',
        '{ {% if a %}"a": 1{% endif %}{% if a %}{% if b %}, "b": 2{% endif %}{% endif %} }',
        DEFINED,
        '{ {% if a %}"a": 1{% if b %},{% endif %}{% endif %}{% if a and b %}"b": 2{% endif %} }',
        '{ {% if s == "x" %}"a": 1{% endif %}{% if s == "y" %}"b": 2{% endif %} }',
        '{ {% if s != "x" %}"a": 1{% endif %}{% if s == "x" %}"b": 2{% endif %} }',
        "[1{% if l %},{% endif %}{% for i in l %}{{ i }}" + COMMA + "{% endfor %}]",
        "[1{% if l | length > 0 %},{% endif %}{% for i in l %}{{ i }}" + COMMA + "{% endfor %}]",
        '{"a": "{% if x %}b{% endif %}{% for i in l %}{{ i }}, {% endfor %}"}',
        "{# , #}[1]{# , #}",
        '{% raw %}["{{ x }}"]{% endraw %}',
        "{% set y = 1 %}[{{ y }}]",
        '{% if (not a) or b %}[{% else %}{"":{% endif %}1{% if not a or b%}]{% else %}}{% endif %}',
    ],
)
def test_bodies_that_are_json_in_every_way_are_proved(source: str) -> None:
    """Commas by the place in a loop, conditions that are asked again, the other branch."""
    assert unproved(source) == []


@each(
    ("source", "line"),
    [
        ("[\n{% for i in l %}{{ i }},{% endfor %}\n]", 3),
        ("[\n{% for i in l %}{{ i }}{% endfor %}]", 2),
        ('{"a": 1,\n{% if x %}"b": 2{% endif %}}', 2),
        ('{ {% if a %}"a": 1{% endif %}\n{% if b %}, "b": 2{% endif %} }', 2),
        ('{ {% if n > 3 %}"a": 1{% endif %}\n{% if n > 5 %}"b": 2{% endif %} }', 2),
        ('{"a": {% if s == "paid" %}1{% endif %}\n}', 2),
        ('{"a": {% if s == "paid" %}1{% elif s == "open" %}2{% endif %}\n}', 2),
        ("[{% for s in l %}{% for i in s %}1{% endfor %}" + COMMA + "\n{% endfor %}]", 1),
        ("[{% for i in l %}{% if i.ok %}{{ i }}" + COMMA + "{% endif %}\n{% endfor %}]", 2),
        ('{"a": "{% if x %}"{% endif %}\n}', 1),
        ('{"a": {{ x }}{{ y }}}', 1),
        ("[1, 2", 1),
        ("{% if x %}[1]{% endif %}", 1),
        ("{{ x }} ]", 1),
        ("[01]", 1),
        ("['a']", 1),
        ('["\\x"]', 1),
    ],
)
def test_a_way_that_is_no_json_is_found_at_its_place(source: str, line: int) -> None:
    """Whatever the condition asks for: a number, a text, a member of an item."""
    (problem,) = unproved(source)
    assert (problem["path"], problem["type"], problem["line"]) == ("body", "json", line)
    assert "is missing here" in problem["message"]


@each(
    "source",
    [
        "{% macro m() %},{% endmacro %}[1{{ m() }}]",
        "{% set c %}[{% endset %}{{ c }}]",
        '[{% include "p" %}]',
        COUNTED,
    ],
)
def test_what_cannot_be_followed_is_left_to_the_trial(source: str) -> None:
    """A name that a template counts with, macros and partials are tried instead."""
    assert unproved(source) == []


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="{}")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(st.characters(codec="ascii", exclude_characters="{}")), inner, max_size=3
        )
    ),
    max_leaves=10,
)


@QUICK
@given(JSON, st.sampled_from([None, 1]), st.booleans())
def test_every_json_text_is_proved_and_none_that_is_cut(
    value: object,
    indent: int | None,
    ascii_: bool,  # noqa: FBT001 - drawn
) -> None:
    """The parser is that of RFC 8259."""
    text = json.dumps(value, indent=indent or 1, ensure_ascii=ascii_).replace("{%", "{ %")
    assert unproved(text) == []
    if isinstance(value, str | list | dict):
        assert unproved(text[:-1])
        assert unproved(f"{text},")


@each(
    "source",
    [
        "[0" + "{% if a and b or c %},1{% endif %}" * 7000 + "]",
        "[0" + "{% for i in l %}" * 300 + ",1" + "{% endfor %}" * 300 + "]",
        "[" * 100_000,
        "[{% if " + "(" * LONG + " %}",
        "{% if " + "not " * LONG + "a %}1{% else %}2{% endif %}",
        "{% if a" + " and a" * LONG + " %}1{% else %}2{% endif %}",
        "[0" + "{% for i in l %}{% if a %},1{% endif %}" * 12 + "{% endfor %}" * 12 + "]",
        "[0" + "".join(f"{{% if a{n % 12} %}},1{{% endif %}}" for n in range(5000)) + "]",
    ],
)
def test_hostile_sources_end_the_proof(source: str) -> None:
    """It is given up, and the trial renders decide."""
    with soon():
        unproved(source)


def test_many_conditions_take_no_time() -> None:
    """What only one condition asks for is not remembered; else the proof is given up."""
    with soon():
        alone = "".join(f"{{% if a{n} %}},{n}{{% endif %}}" for n in range(2000))
        assert unproved(f"[0{alone}]") == []
        twice = "".join(f"{{% if a{n % 50} %}},{n}{{% endif %}}" for n in range(100))
        assert unproved(f"[0{twice}]") == []
