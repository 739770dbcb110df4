"""Values that partials and layouts would bring into styles and scripts are refused."""

from tasks.rendering.checks.code_partials import unsafe_blocks, unsafe_includes
from tests.support.cases import each

PARTIALS = {
    "rules": ".a{color:red}{% if x %}.b{c:d}{% endif %}",
    "colours": ".a{color:{{ colour | default('red') }}}",
    "deep": "{% include 'colours' %}",
    "loop": "{% include 'loop' %}",
}


@each(
    ("source", "refused"),
    [
        ("<style>{% include 'colours' %}</style>", True),
        ("<style>a{b:c}{% include 'deep' %}</style>", True),
        ("<p style=\"{% include 'colours' %}\">", True),
        ("<script type='application/json'>{% include 'colours' %}</script>", True),
        ("<!--[if mso]><style>{% include 'colours' %}</style><![endif]-->", True),
        ("<style>{% include 'rules' %}{% include 'loop' %}{% include 'gone' %}</style>", False),
        ("<p>{% include 'colours' %}</p><style>a{}</style>", False),
        ("{% include 'colours' %}", False),
    ],
)
def test_a_partial_with_placeholders_is_not_for_code(source: str, refused: object) -> None:
    """Nor are those that use one; one without placeholders is as good as written out."""
    found = list(unsafe_includes(source, PARTIALS.get))
    assert bool(found) is refused
    assert all(source.startswith("{% include", unsafe.start) for unsafe in found)


LAYOUT = """<style>a{}{% block css %}{% endblock %}</style>
<p style="{% block style %}{% endblock %}" class="{% block class %}{% endblock %}"
{% block attributes %}{% endblock %}>{% block content %}{% endblock %}</p>
<script>{% block js %}{% endblock %}</script><title>{% block title %}{% endblock %}</title>"""


@each(
    ("block", "refused"),
    [
        ("css", True),
        ("style", True),
        ("attributes", True),
        ("js", True),
        ("class", False),
        ("content", False),
        ("title", False),
    ],
)
def test_a_block_in_code_of_its_layout_takes_no_placeholders(block: str, refused: object) -> None:
    """What has none may fill it, and so may its own content."""
    source = f"{{% block {block} %}}a{{{{ x }}}}{{% endblock %}}"
    assert [unsafe.start for unsafe in unsafe_blocks(source, [LAYOUT])] == ([0] if refused else [])
    for inside in ("a", "{{ super() }}", "{% if x %}a{% endif %}"):
        assert not list(unsafe_blocks(f"{{% block {block} %}}{inside}{{% endblock %}}", [LAYOUT]))
