"""Which partials a source uses, and what that means for its placeholders and for the graph."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.rendering.partials import (
    blocks_of,
    cycle_through,
    depth,
    every_block,
    partials_of,
    uses,
    with_needs,
)
from tests.support.cases import each

QUICK = settings(max_examples=80, deadline=None)
NAMES = [f"p{number}" for number in range(6)]
GRAPHS = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), unique=True))
# What a partial uses has a higher number, so that there is no cycle.
TREES = st.fixed_dictionaries(
    {
        name: st.lists(st.sampled_from(NAMES[number:]), unique=True)
        for number, name in enumerate(NAMES, 1)
        if number < len(NAMES)
    }
    | {NAMES[-1]: st.just([])}
)
# Nothing in it begins a tag.
WORDS = st.text(st.sampled_from("ab <>'\"%}\n\té😀"), max_size=8)
IDS = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,9}", fullmatch=True)


class TestUses:
    """Tags that include or extend a partial."""

    @each(
        ("tag", "partial", "is_layout"),
        [
            ('{% include "footer" %}', "footer", False),
            ("{% include 'footer' %}", "footer", False),
            ("{%- include 'a.b_c-1' -%}", "a.b_c-1", False),
            ("{% include 'a\" %}' %}", 'a" %}', False),
            ("{%+ include  \n 'footer' +%}", "footer", False),
            ("{% extends 'layout' %}", "layout", True),
            ('{%-extends "layout"-%}', "layout", True),
            ("{% include '' %}", "", False),
        ],
    )
    def test_a_tag_names_one_partial(self, tag: str, partial: str, is_layout: bool) -> None:  # noqa: FBT001 - a column of the table
        """In either quotes, with any marks of whitespace control."""
        source = f"é😀 {{{{ x }}}}\n{tag} rest"
        (use,) = uses(source)
        assert (use.partial, use.is_layout) == (partial, is_layout)
        assert source[use.start : use.end] == tag

    @each(
        "tag",
        [
            "{% include name %}",
            "{% include 'a' ~ 'b' %}",
            "{% include ['a', 'b'] %}",
            "{% include 'a' ignore missing %}",
            "{% include 'a' with context %}",
            "{% include 'a' if x %}",
            "{% include ('a') %}",
            "{% include 'a\\n' %}",
            "{%include'a'%}",
            "{% include %}",
            "{% extends name %}",
            "{% extends 'a' if x else 'b' %}",
            "{% import 'a' as b %}",
            "{% from 'a' import b %}",
        ],
    )
    def test_dynamic_partial_names_are_a_problem(self, tag: str) -> None:
        """The graph of partials is known when a version is published, or it is refused."""
        source = f"x {tag}"
        (use,) = uses(source)
        assert use.partial is None
        assert use.problem
        assert source[use.start : use.end] == tag

    @each(
        "source",
        [
            "",
            "include 'a'",
            "{{ \"{% include 'a' %}\" }}",
            "{# {% include 'a' %} #}",
            "{% raw %}{% include 'a' %}{% endraw %}",
            "{%- raw -%}{% extends 'a' %}{%- endraw -%}",
            "{% include 'a'",
            "{{ include }}{% set include = 1 %}{% if extends %}{% endif %}",
        ],
    )
    def test_text_that_is_no_tag_uses_no_partial(self, source: str) -> None:
        """Comments, strings and raw blocks are text."""
        assert uses(source) == []

    def test_all_sources_count(self) -> None:
        """Each partial once, and no tag that names none."""
        sources = [
            "{% extends 'a' %}{% include 'b' %}{% include 'b' %}",
            "{% include x %}",
            "{% if y %}{% include 'c' %}{% endif %}",
        ]
        assert [use.partial for use in uses(sources[0])] == ["a", "b", "b"]
        assert partials_of(sources) == {"a", "b", "c"}
        assert partials_of([]) == set()


class TestNeeds:
    """Prints instead of partials."""

    @QUICK
    @given(st.lists(st.tuples(WORDS, IDS)), WORDS, st.dictionaries(IDS, st.lists(IDS), max_size=3))
    def test_only_tags_of_partials_change(
        self, pieces: list[tuple[str, str]], end: str, needs: dict[str, list[str]]
    ) -> None:
        """Whatever stands around them; a partial that needs nothing leaves nothing."""
        source = "".join(f"{text}{{% include '{name}' %}}" for text, name in pieces) + end
        expected = "".join(
            text + "".join(f"{{{{ {need} }}}}" for need in needs.get(name, ()))
            for text, name in pieces
        )
        assert with_needs(source, needs) == expected + end

    def test_each_use_has_its_own(self) -> None:
        """In order, also where a partial is used twice."""
        source = "{% for i in l %}{% include 'a' %}{% endfor %}{% include 'a' %}{% include 'b' %}"
        needs = {"a": ["i", "user.name"], "b": ["c"]}
        a = "{{ i }}{{ user.name }}"
        expected = f"{{% for i in l %}}{a}{{% endfor %}}{a}{{{{ c }}}}"
        assert with_needs(source, needs) == expected


class TestBlocks:
    """Blocks of a layout, and of what fills it."""

    SOURCE = (
        "{% block a %}{% block b %}{% endblock %}{% endblock a %}é"
        "{%- block c -%}{% endblock %}{# {% block d %}{% endblock %} #}"
        "{% raw %}{% block e %}{% endblock %}{% endraw %}"
    )

    def test_all_blocks_of_a_layout(self) -> None:
        """Nested ones can be filled too; those in comments and raw text are none."""
        assert every_block(self.SOURCE) == {"a", "b", "c"}

    def test_the_outermost_blocks_and_their_places(self) -> None:
        """A block within one that a layout shows is shown with it."""
        found = blocks_of(self.SOURCE)
        assert list(found) == ["a", "c"]
        assert found["a"] == 0
        assert self.SOURCE[found["c"] :].startswith("{%- block c")

    def test_a_source_without_blocks(self) -> None:
        """It has none."""
        assert blocks_of("{{ block }}") == {}
        assert every_block("{{ block }}") == set()


class TestCycles:
    """A partial that would use itself, through others perhaps."""

    @each(
        ("graph", "chain"),
        [
            ({}, None),
            ({"p0": []}, None),
            ({"p0": ["p0"]}, ["p0", "p0"]),
            ({"p0": ["p1"], "p1": ["p0"]}, ["p0", "p1", "p0"]),
            ({"p0": ["p1"], "p1": ["p2"], "p2": ["p0"]}, ["p0", "p1", "p2", "p0"]),
            ({"p0": ["p1"], "p1": ["p2"], "p2": ["p1"]}, None),
            ({"p0": ["p1", "p2"], "p1": ["p3"], "p2": ["p3"]}, None),
        ],
    )
    def test_the_chain_is_told(
        self, graph: dict[str, list[str]], chain: Sequence[str] | None
    ) -> None:
        """From the partial to itself; cycles of others are not its own."""
        assert cycle_through("p0", graph) == chain

    @QUICK
    @given(GRAPHS)
    @example({"p0": ["p1", "p2"], "p1": ["p3"], "p2": ["p3"], "p3": ["p0"]})
    def test_there_is_a_chain_if_and_only_if_it_reaches_itself(
        self, graph: dict[str, list[str]]
    ) -> None:
        """And each step of the chain is a use, none of them twice."""
        chain = cycle_through("p0", graph)
        assert (chain is not None) is ("p0" in reached("p0", graph))
        if chain is not None:
            assert chain[0] == chain[-1] == "p0"
            assert all(used in graph[user] for user, used in pairwise(chain))
            assert len(set(chain)) == len(chain) - 1


class TestDepth:
    """How many partials stand within each other."""

    @each(
        ("names", "graph", "expected"),
        [
            ([], {}, 0),
            (["p0"], {}, 1),
            (["p0", "p1"], {}, 1),
            (["p0"], {"p0": ["p1"], "p1": ["p2"]}, 3),
            (["p2", "p0"], {"p0": ["p1"], "p1": ["p2"]}, 3),
            (["p0"], {"p0": ["p3", "p1"], "p1": ["p2"], "p2": ["p3"]}, 4),
        ],
    )
    def test_the_longest_chain_counts(
        self, names: list[str], graph: dict[str, list[str]], expected: int
    ) -> None:
        """Side by side is not within."""
        assert depth(names, graph) == expected

    @QUICK
    @given(st.lists(st.sampled_from(NAMES), unique=True), TREES)
    def test_depth_is_the_length_of_the_longest_chain(
        self, names: list[str], graph: dict[str, list[str]]
    ) -> None:
        """Compared with a walk over every chain."""
        assert depth(names, graph) == max(map(len, chains(names, graph)), default=0)

    @QUICK
    @given(TREES, st.sampled_from(NAMES), st.sampled_from(NAMES))
    def test_a_use_more_never_makes_it_less(
        self, graph: dict[str, list[str]], user: str, used: str
    ) -> None:
        """And a partial stands deeper than all that it uses."""
        if user < used:
            more = graph | {user: [*graph[user], used]}
            assert all(depth([name], more) >= depth([name], graph) for name in NAMES)
            assert depth([user], more) > depth([used], more)

    def test_a_wide_graph_is_walked_once(self) -> None:
        """40 levels of ten have more chains than could ever be walked one by one."""
        levels = [[f"{level}-{number}" for number in range(10)] for level in range(40)]
        graph = {name: below for above, below in pairwise(levels) for name in above}
        assert depth(levels[0], graph) == 40
        assert cycle_through("top", graph | {"top": levels[0]}) is None


def reached(start: str, graph: Mapping[str, Sequence[str]]) -> set[str]:
    """Return all that ``start`` uses in one step or more."""
    found: set[str] = set()
    for _ in NAMES:
        found |= {used for name in (start, *found) for used in graph.get(name, ())}
    return found


def chains(names: Sequence[str], graph: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return every chain that begins with one of ``names``."""
    return [
        chain
        for name in names
        for chain in ([name], *([name, *rest] for rest in chains(graph[name], graph)))
    ]
