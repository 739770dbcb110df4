"""``bundle.apply``: a set of templates, all of them or none."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.factories import templates
from tests.support.cases import each
from tests.support.producer import RefusedError
from tests.support.rows import Rows
from tests.support.tasks import Tasks
from worker.local import LocalStack

Entry = dict[str, Any]
Ids = Callable[[str], str]
NAME = [{"name": "name", "type": "string", "required": True}]


@pytest.fixture(scope="module")
def rows(servers: LocalStack) -> Rows:
    """Look at the database of the tasks."""
    return Rows(servers.postgres.url)


@pytest.fixture
def ids() -> Ids:
    """Give a function that returns the id of a template of this test."""
    known: dict[str, str] = {}
    return lambda name: known.setdefault(name, templates.template_id(name))


def entry(template_id: str, body: str | None = None, **keywords: Any) -> Entry:  # noqa: ANN401 - a version's
    """Return a template of a bundle; ``type`` and what begins with ``expected`` are its own."""
    own = {
        key: keywords.pop(key)
        for key in ("type", "name", "is_active", "metadata", "expected_version", "expected_digest")
        if key in keywords
    }
    made = {"template_id": template_id, "name": "A", "type": "email"} | own
    return made if body is None else made | {"version": {"body": body} | keywords}


def apply(tasks: Tasks, *entries: Entry, dry_run: bool = False) -> dict[str, Any]:
    """Return the answer to a bundle."""
    return tasks.call("bundle.apply", {"templates": list(entries), "dry_run": dry_run})


def refused(tasks: Tasks, *entries: Entry) -> list[dict[str, Any]]:
    """Return the problems of a bundle that is refused."""
    with pytest.raises(RefusedError) as caught:
        apply(tasks, *entries)
    assert caught.value.code == "bundle_refused"
    return caught.value.details


def actions(answer: dict[str, Any]) -> list[str]:
    """Return what became of the templates."""
    counted = {key: answer[key] for key in ("added", "changed", "unchanged", "refused")}
    found = [each["action"] for each in answer["templates"]]
    assert counted == {key: found.count(key) for key in counted}
    return found


class TestApply:
    """What is written."""

    def test_a_bundle_adds_then_changes_nothing_then_changes_one(
        self, tasks: Tasks, ids: Ids, rows: Rows
    ) -> None:
        """Partials before their users, whatever the order; twice is once."""
        layout = entry(ids("layout"), "<p>{% block c %}{% endblock %}</p>", type="partial")
        user = entry(
            ids("user"),
            f'{{% extends "{ids("layout")}" %}}{{% block c %}}{{{{ name }}}}{{% endblock %}}',
            variables=NAME,
            translations={"de": {"body": "Hallo {{ name }}"}},
            metadata={"owner": "growth", "weight": 1.0},
        )
        first = apply(tasks, user, layout)
        assert actions(first) == ["added", "added"]
        assert [each["version"] for each in first["templates"]] == ["1", "1"]
        assert actions(apply(tasks, user, layout)) == ["unchanged", "unchanged"]
        changed = entry(ids("layout"), "<div>{% block c %}{% endblock %}</div>", type="partial")
        third = apply(tasks, user, changed)
        assert actions(third) == ["unchanged", "changed"]
        users = third["templates"][1]["users"]
        assert users == [
            {"template_id": ids("user"), "in_bundle": True, "checked": True, "problems": []}
        ]
        assert rows.counts(ids("user")) == (1, 1, 1, 1)
        assert rows.counts(ids("layout")) == (1, 2, 0, 1)
        rendered = tasks.call(
            "render.one", {"template_id": ids("user"), "variables": {"name": "A"}}
        )
        assert rendered["body"] == "<div>A</div>"

    def test_a_dry_run_answers_the_same_and_stores_nothing(
        self, tasks: Tasks, ids: Ids, rows: Rows
    ) -> None:
        """What would become stale or be dropped, too."""
        languages = {each: {"body": f"{each} {{{{ name }}}}"} for each in ("de", "fr")}
        apply(tasks, entry(ids("a"), "One {{ name }}", variables=NAME, translations=languages))
        before = tasks.call("template.get", {"template_id": ids("a")})
        new = entry(
            ids("a"),
            "Two {{ name }}",
            variables=NAME,
            translations={"de": languages["de"]},
            carry_translations=False,
        )
        planned = apply(tasks, new, entry(ids("b"), "x"), dry_run=True)
        assert (planned["dry_run"], planned["applied"]) == (True, False)
        assert actions(planned) == ["changed", "added"]
        assert planned["templates"][0]["translations"] == {
            "carried": ["de"],
            "stale": ["de"],
            "dropped": ["fr"],
        }
        assert tasks.call("template.get", {"template_id": ids("a")}) == before
        assert rows.counts(ids("b")) == (0, 0, 0, 0)
        done = apply(tasks, new, entry(ids("b"), "x"))
        changing = ("version_id", "digest")
        plans, results = (
            [{k: v for k, v in each.items() if k not in changing} for each in answer["templates"]]
            for answer in (planned, done)
        )
        assert plans == results
        page = tasks.call("template.export", {"template_ids": [ids("a")]})["templates"][0]
        assert {k: v["state"] for k, v in page["version"]["translations"].items()} == {
            "de": "stale"
        }

    def test_own_fields_change_without_a_version(self, tasks: Tasks) -> None:
        """What is left out has its default: an entry is the whole template."""
        template = templates.published(tasks)
        before = tasks.call("template.get", {"template_id": template})["template"]
        answer = apply(tasks, entry(template, name="B", metadata={"a": 1}))
        assert answer["templates"][0]["fields"] == ["name", "metadata"]
        after = tasks.call("template.get", {"template_id": template})["template"]
        assert after["current_version"] == before["current_version"] == "1"
        assert (after["name"], after["metadata"]) == ("B", {"a": 1})
        again = apply(tasks, entry(template, name="B", metadata={"a": 1.0}))
        assert actions(again) == ["unchanged"]

    def test_a_partial_and_its_user_are_switched_off_together(self, tasks: Tasks, ids: Ids) -> None:
        """A partial in use stays on; without its user it may be switched off."""
        partial = entry(ids("p"), "x", type="partial")
        apply(tasks, partial, entry(ids("u"), f'{{% include "{ids("p")}" %}}'))
        off = entry(ids("p"), "x", type="partial", is_active=False)
        (problem,) = refused(tasks, off)
        assert (problem["code"], problem["template_id"]) == ("template_in_use", ids("p"))
        assert actions(apply(tasks, off, entry(ids("u"), "alone"))) == ["changed", "changed"]

    def test_drafts_are_published_once_and_rescheduled(self, tasks: Tasks, ids: Ids) -> None:
        """The same draft is not published again; another time is another schedule."""
        apply(tasks, entry(ids("a"), "one", variables=[]))
        at = "2099-01-01T09:00:00+01:00"
        first = apply(tasks, entry(ids("a"), "two", variables=[], activate_at=at))["templates"][0]
        assert (first["action"], first["version"], first["is_current"]) == ("changed", "2", False)
        assert first["activate_at"] == "2099-01-01T08:00:00Z"
        again = entry(ids("a"), "two", variables=[], activate_at="2099-01-01T08:00:00+00:00")
        same = apply(tasks, again)["templates"][0]
        assert (same["action"], same["version"], same["is_current"]) == ("unchanged", "2", False)
        assert same["activate_at"] == first["activate_at"]
        moved = entry(ids("a"), "two", variables=[], activate_at="2099-02-01T08:00:00+00:00")
        answer = apply(tasks, moved)["templates"][0]
        assert (answer["action"], answer["version"]) == ("changed", "2")
        (scheduled,) = tasks.call("template.get", {"template_id": ids("a")})["scheduled"]
        assert scheduled == {"version": "2", "activate_at": "2099-02-01T08:00:00Z"}
        assert actions(apply(tasks, entry(ids("a"), "one", variables=[], activate_at=at))) == [
            "unchanged"
        ]


class TestRefusals:
    """One problem refuses all, and all problems are named."""

    def test_all_problems_of_all_templates_come_at_once(
        self, tasks: Tasks, ids: Ids, rows: Rows
    ) -> None:
        """Each with the template, the code, and the place in the message."""
        old = templates.published(tasks)
        partial = templates.published(tasks, "x", type="partial")
        problems = refused(
            tasks,
            entry(ids("syntax"), "<p>\n{{ name }</p>"),
            entry(old, "two", expected_version=0),
            entry(partial, "x"),
            {"template_id": ids("odd"), "name": 5, "colour": "red"},
            entry(ids("twice"), "x"),
            entry(ids("twice"), "y"),
            entry(ids("c1"), f'{{% include "{ids("c2")}" %}}', type="partial"),
            entry(ids("c2"), f'{{% include "{ids("c1")}" %}}', type="partial"),
            entry(ids("user"), f'{{% include "{ids("c1")}" %}}{{{{ a|nothing }}}}'),
            entry(ids("good"), "x"),
        )
        found = [
            (each["template_id"], each["path"], each["code"], each["type"]) for each in problems
        ]
        body = "version.body"
        assert found == [
            (ids("syntax"), f"templates[0].{body}", "template_syntax", "syntax_error"),
            (old, "templates[1].expected_version", "version_conflict", "conflict"),
            (partial, "templates[2].type", "invalid_message", "type_changed"),
            (ids("odd"), "templates[3].name", "invalid_message", "string"),
            (ids("odd"), "templates[3].type", "invalid_message", "missing"),
            (ids("odd"), "templates[3].colour", "invalid_message", "extra_forbidden"),
            (ids("twice"), "templates[5].template_id", "invalid_message", "declared_twice"),
            (ids("c1"), f"templates[6].{body}", "template_syntax", "partial_cycle"),
            (ids("c2"), f"templates[7].{body}", "template_syntax", "partial_cycle"),
            (ids("user"), f"templates[8].{body}", "template_syntax", "unknown_filter"),
            (ids("user"), "templates[8].version", "template_syntax", "partial_refused"),
        ]
        assert problems[0]["line"] == 2
        assert rows.counts(ids("good")) == (0, 0, 0, 0)
        assert rows.counts(old) == (1, 1, 0, 1)

    def test_a_breaking_partial_passes_with_all_of_its_users(self, tasks: Tasks, ids: Ids) -> None:
        """Those that the bundle does not bring are checked as they are stored."""
        old, new = (
            f'{{% extends "{ids("layout")}" %}}{{% block {block} %}}Hi{{% endblock %}}'
            for block in ("c", "d")
        )
        layout = entry(ids("layout"), "{% block c %}{% endblock %}", type="partial")
        other = entry(ids("layout"), "{% block d %}{% endblock %}", type="partial")
        apply(tasks, layout, entry(ids("one"), old), entry(ids("two"), old))
        problems = refused(tasks, other, entry(ids("one"), new))
        assert [each["type"] for each in problems] == ["block_gone", "user_breaks"]
        assert {each["template_id"] for each in problems} == {ids("layout")}
        assert f"'{ids('two')}' uses it and would break" in problems[1]["message"]
        planned = apply(tasks, other, entry(ids("one"), new), dry_run=True)
        users = {each["template_id"]: each for each in planned["templates"][0]["users"]}
        assert users[ids("one")] == {
            "template_id": ids("one"),
            "in_bundle": True,
            "checked": True,
            "problems": [],
        }
        assert users[ids("two")]["problems"][0]["type"] == "unknown_block"
        done = apply(tasks, other, entry(ids("one"), new), entry(ids("two"), new))
        assert actions(done) == ["changed"] * 3
        assert [each["type"] for each in done["templates"][0]["breaking"]] == ["block_gone"]

    def test_a_draft_of_a_user_does_not_save_a_breaking_partial(
        self, tasks: Tasks, ids: Ids
    ) -> None:
        """What is current is what is rendered."""
        user = f'{{% extends "{ids("p")}" %}}{{% block NAME %}}Hi{{% endblock %}}'
        partial = entry(ids("p"), "{% block a %}{% endblock %}", type="partial")
        apply(tasks, partial, entry(ids("u"), user.replace("NAME", "a")))
        other = entry(ids("p"), "{% block b %}{% endblock %}", type="partial")
        draft = entry(ids("u"), user.replace("NAME", "b"), activate=False)
        assert {each["type"] for each in refused(tasks, other, draft)} == {
            "block_gone",
            "user_breaks",
        }

    def test_a_breaking_template_is_refused_as_by_version_publish(
        self, tasks: Tasks, ids: Ids
    ) -> None:
        """Its producers are not in the bundle."""
        apply(tasks, entry(ids("a"), "x"))
        (problem,) = refused(tasks, entry(ids("a"), "{{ new }}"))
        assert (problem["code"], problem["type"]) == ("breaking_change", "now_required")
        assert actions(apply(tasks, entry(ids("a"), "{{ new }}", allow_breaking=True))) == [
            "changed"
        ]

    @each("given", [5, None, [], "x"])
    def test_what_is_no_template_is_named_by_its_place(self, tasks: Tasks, given: object) -> None:
        """It has no id."""
        (problem,) = refused(tasks, given)  # type: ignore[arg-type]
        assert (problem["path"], problem["code"]) == ("templates[0]", "invalid_message")

    @each(
        ("name", "path"),
        [
            ("\ud800", "templates[0].name"),
            ("a\x00", "templates[0].name"),
            ("", "templates[0].name"),
        ],
    )
    def test_each_template_is_validated_by_itself(
        self, tasks: Tasks, ids: Ids, name: str, path: str
    ) -> None:
        """As it would be in a message of its own."""
        (problem,) = refused(tasks, entry(ids("a"), "x", name=name))
        assert (problem["path"], problem["template_id"]) == (path, ids("a"))

    def test_too_many_templates_are_refused(self, tasks: Tasks) -> None:
        """Before any of them is read."""
        with pytest.raises(RefusedError) as caught:
            apply(tasks, *([entry("a")] * 1001))
        assert caught.value.code == "too_large"

    def test_a_soft_deleted_template_is_not_replaced(self, tasks: Tasks) -> None:
        """Its author is told how to bring it back."""
        template = templates.published(tasks)
        tasks.call("template.delete", {"template_id": template})
        (problem,) = refused(tasks, entry(template, "x"))
        assert (problem["code"], problem["path"]) == ("template_exists", "templates[0].template_id")
        assert "template.restore" in problem["message"]


class TestConflicts:
    """Two people at once."""

    def test_a_version_published_since_refuses_the_bundle(self, tasks: Tasks, ids: Ids) -> None:
        """Both versions are in the details; the same contents are no conflict."""
        apply(tasks, entry(ids("a"), "one", expected_version=0))
        apply(tasks, entry(ids("a"), "two", expected_version="1"))
        (problem,) = refused(tasks, entry(ids("a"), "three", expected_version="1"))
        assert (problem["expected"], problem["current"]) == ("1", "2")
        assert actions(apply(tasks, entry(ids("a"), "two", expected_version="1"))) == ["unchanged"]

    def test_a_changed_translation_is_a_conflict_of_digests(self, tasks: Tasks, ids: Ids) -> None:
        """The version is still the same one."""
        apply(tasks, entry(ids("a"), "one", variables=[], translations={"de": {"body": "eins"}}))
        (pulled,) = tasks.call("template.export", {"template_ids": [ids("a")]})["templates"]
        upsert = {"template_id": ids("a"), "language_code": "de", "body": "ein"}
        tasks.call("translation.upsert", upsert)
        mine = {"translations": {"de": {"body": "einz"}}, "expected_digest": pulled["digest"]}
        (problem,) = refused(tasks, entry(ids("a"), "one", expected_version="1", **mine))
        assert (problem["code"], problem["type"]) == ("version_conflict", "changed")
        assert problem["expected"] == pulled["digest"] != problem["current"]

    def test_bundles_at_once_overwrite_nothing(self, tasks: Tasks, ids: Ids, rows: Rows) -> None:
        """One of them wins with all of its templates; they lock in one order and never deadlock."""
        names = [ids(name) for name in "abcd"]
        start = threading.Barrier(4)

        def push(number: int) -> str:
            order = names if number % 2 else names[::-1]
            start.wait(timeout=30)
            try:
                apply(tasks, *(entry(each, f"{number}", expected_version=0) for each in order))
            except RefusedError as error:
                return ",".join({each["code"] for each in error.details})
            return "applied"

        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(push, range(4)))
        assert sorted(results) == ["applied", *["version_conflict"] * 3]
        assert {rows.counts(name) for name in names} == {(1, 1, 0, 1)}
        bodies = {
            tasks.call("template.get", {"template_id": name})["version"]["body"] for name in names
        }
        assert bodies == {str(results.index("applied"))}
