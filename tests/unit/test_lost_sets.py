"""Names that a loop sets and that are read after it: the value of the loop is lost."""

from tasks.rendering.checks.lost_sets import lost_sets
from tests.support.cases import each


@each(
    "source",
    [
        "{% set t = 0 %}{% for i in xs %}{% set t = t + i.p %}{% endfor %}{{ t }}",
        (
            "{% set f = 0 %}{% for i in xs %}{% if i %}{% set f = 1 %}{% endif %}{% endfor %}"
            "{% if f %}y{% endif %}"
        ),
        "{% set t = 0 %}{% if a %}{% for i in xs %}{% set t = i %}{% endfor %}{% endif %}{{ t }}",
        "{% set t = 0 %}{% for i in xs %}{% set t = i %}{% endfor %}{% set u = t + 1 %}{{ u }}",
        (
            "{% for a in xs %}{% set t = 0 %}{% for b in a %}{% set t = t + b %}{% endfor %}{{ t }}"
            "{% endfor %}"
        ),
        (
            "{% set t = 0 %}{% for i in xs %}{% set t = i %}{% endfor %}"
            "{% for i in ys %}{{ t }}{% endfor %}"
        ),
    ],
)
def test_a_value_that_the_loop_loses_is_told(source: str) -> None:
    """A sum would be 0, and a flag what it was, as in Jinja2, and without an error."""
    (fault,) = lost_sets(source)
    assert source[fault.start :].startswith("{% set")
    assert "namespace(" in fault.message


@each(
    "source",
    [
        (
            "{% set ns = namespace(t=0) %}{% for i in xs %}{% set ns.t = ns.t + i %}{% endfor %}"
            "{{ ns.t }}"
        ),
        "{% for i in xs %}{% set t = i %}{{ t }}{% endfor %}",
        "{% set c = 'a' %}{{ c }}{% for i in xs %}{% set c = i %}{{ c }}{% endfor %}",
        (
            "{% set c = 'a' %}{% for i in xs %}{% set c = i %}{{ c }}{% endfor %}"
            "{% for i in ys %}{% set c = i %}{{ c }}{% endfor %}"
        ),
        "{% set c = 'a' %}{% for i in xs %}{% set c = i %}{{ c }}{% endfor %}{% set c = 1 %}{{c}}",
        (
            "{% set c = 'a' %}{% for i in xs %}{% set c = i %}{{ c }}{% endfor %}"
            "{% for c in ys %}{{ c }}{% endfor %}"
        ),
        "{% set t = 0 %}{% if a %}{% set t = 1 %}{% endif %}{{ t }}",
        "{% set t = 0 %}{% for i in xs %}{{ t }}{% endfor %}{{ t }}",
    ],
)
def test_a_name_that_is_read_where_it_is_set_is_not_told(source: str) -> None:
    """Nor one that is set again before it is read."""
    assert lost_sets(source) == []
