"""``template.*``: create, change, soft-delete, restore, get and list."""

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

import pytest

from tests.factories import templates
from tests.support.cases import each
from tests.support.producer import RefusedError
from tests.support.rows import Rows
from tests.support.tasks import Tasks
from worker.local import LocalStack


@pytest.fixture
def rows(servers: LocalStack) -> Rows:
    """Look at the database of the tasks."""
    return Rows(servers.postgres.url)


def refused(tasks: Tasks, task: str, **keywords: Any) -> RefusedError:  # noqa: ANN401 - any JSON value
    """Return the refusal of a message."""
    with pytest.raises(RefusedError) as caught:
        tasks.call(task, keywords)
    return caught.value


def test_a_template_is_created_as_requested(tasks: Tasks) -> None:
    """The answer is the whole template, with times in UTC."""
    message = {
        "template_id": templates.template_id("a.b-c_"),
        "name": "Größe 😀",
        "type": "sms",
        "description": "Two\nlines",
        "category": "accounts",
        "is_active": False,
        "metadata": {"owner": {"team": "növa"}, "n": [1, 2.5, None, True]},
    }
    answer = tasks.call("template.create", message)
    assert answer.items() >= message.items()
    assert answer["current_version"] is None
    assert answer["deleted_at"] is None
    assert answer["created_at"] == answer["updated_at"] or (
        answer["created_at"] < answer["updated_at"]
    )
    assert datetime.fromisoformat(answer["created_at"]).utcoffset() == timedelta(0)
    got = tasks.call("template.get", {"template_id": message["template_id"]})["template"]
    assert got == answer


def test_a_template_has_defaults(tasks: Tasks) -> None:
    """Only id, name and type are needed; it is active."""
    answer = tasks.call(
        "template.create", {"template_id": templates.template_id(), "name": "A", "type": "email"}
    )
    assert (answer["is_active"], answer["metadata"]) == (True, {})
    assert (answer["description"], answer["category"]) == (None, None)


@each("kind", ["email", "in_app", "sms", "push", "partial"])
def test_every_type_of_the_contract_can_be_created(tasks: Tasks, kind: str) -> None:
    """The model's list and the database's check constraint are the same."""
    assert (
        tasks.call(
            "template.create", {"template_id": templates.template_id(), "name": "A", "type": kind}
        )["type"]
        == kind
    )


def test_a_template_id_exists_once(tasks: Tasks) -> None:
    """Also when its template is soft-deleted: then the answer says how to get it back."""
    template = templates.created(tasks)
    again = {"template_id": template, "name": "B", "type": "sms"}
    error = refused(tasks, "template.create", **again)
    assert (error.code, error.paths) == ("template_exists", {"template_id"})
    assert "restore" not in error.details[0]["message"]
    tasks.call("template.delete", {"template_id": template})
    error = refused(tasks, "template.create", **again)
    assert error.code == "template_exists"
    assert "template.restore" in error.details[0]["message"]


def test_an_update_changes_only_what_it_names(tasks: Tasks) -> None:
    """Null empties an optional field; others stay; the answer has the time of the change."""
    template = templates.created(tasks, description="old", category="old", metadata={"a": 1})
    before = tasks.call("template.get", {"template_id": template})["template"]
    answer = tasks.call("template.update", {"template_id": template, "name": "New"})
    assert answer == before | {"name": "New", "updated_at": answer["updated_at"]}
    assert answer["updated_at"] > before["updated_at"]
    answer = tasks.call(
        "template.update",
        {"template_id": template, "description": None, "category": None, "is_active": False},
    )
    assert (answer["description"], answer["category"], answer["is_active"]) == (None, None, False)
    assert answer["name"] == "New"


REFUSED_METADATA: list[Any] = [None, [], {"a": "\0"}]


def test_an_update_replaces_the_metadata(tasks: Tasks) -> None:
    """As a whole, and never by null."""
    template = templates.created(tasks, metadata={"a": 1, "tags": ["x"]})
    answer = tasks.call("template.update", {"template_id": template, "metadata": {"b": [2]}})
    assert answer["metadata"] == {"b": [2]}
    assert tasks.call("template.get", {"template_id": template})["template"] == answer
    assert tasks.call("template.update", {"template_id": template, "name": "B"})["metadata"] == {
        "b": [2]
    }
    for wrong in REFUSED_METADATA:
        error = refused(tasks, "template.update", template_id=template, metadata=wrong)
        assert error.code == "invalid_message"


class TestUsedBy:
    """``template.get`` of a partial names the templates that use it."""

    def test_users_are_named_with_the_steps_between(self, tasks: Tasks) -> None:
        """Those whose current versions use it, also through another partial."""
        footer = templates.published(tasks, "<p>Bye</p>", type="partial")
        include = f'{{% include "{footer}" %}}'
        layout = templates.published(tasks, f"<div>{include}</div>", type="partial")
        mail = templates.published(tasks, f'<p>Hi</p>{{% include "{layout}" %}}')
        note = templates.published(
            tasks, "x", type="sms", translations={"de": {"body": f"y {include}"}}
        )
        old = templates.published(tasks, include)
        tasks.call("version.publish", {"template_id": old, "body": "no more"})
        answer = tasks.call("template.get", {"template_id": footer})
        assert answer["used_by"] == sorted(
            [
                {"template_id": layout, "type": "partial", "steps": 1},
                {"template_id": note, "type": "sms", "steps": 1},
                {"template_id": mail, "type": "email", "steps": 2},
            ],
            key=itemgetter("template_id"),
        )
        assert tasks.call("template.get", {"template_id": mail})["used_by"] == []
        tasks.call("template.delete", {"template_id": note})
        names = [user["template_id"] for user in _details(tasks, footer)["used_by"]]
        assert sorted(names) == sorted([layout, mail])

    def test_own_texts_and_preheaders_use_partials_too(self, tasks: Tasks) -> None:
        """In each language."""
        footer = templates.published(tasks, "<p>Bye</p>", type="partial")
        include = f'{{% include "{footer}" %}}'
        one = templates.published(tasks, "x", text=include)
        two = templates.published(
            tasks, "x", translations={"de": {"body": "y", "preheader": include}}
        )
        names = [user["template_id"] for user in _details(tasks, footer)["used_by"]]
        assert sorted(names) == sorted([one, two])
        assert refused(tasks, "template.delete", template_id=footer).code == "template_in_use"


def _details(tasks: Tasks, template: str) -> dict[str, Any]:
    return tasks.call("template.get", {"template_id": template})


class TestListFilters:
    """``template.list`` by prefix, tag and text."""

    @staticmethod
    def ids(tasks: Tasks, **keywords: Any) -> list[str]:  # noqa: ANN401 - a message's keywords
        """Return the ids of a page."""
        page = tasks.call("template.list", keywords)
        return [template["template_id"] for template in page["templates"]]

    def test_by_prefix(self, tasks: Tasks) -> None:
        """An underscore is a character like any other."""
        name = templates.template_id("list_a")
        for template in (f"{name}.one", f"{name}.two", name.replace("_", "x")):
            templates.created(tasks, template_id=template)
        assert self.ids(tasks, prefix=name) == [f"{name}.one", f"{name}.two"]
        assert self.ids(tasks, prefix=name, after=f"{name}.one") == [f"{name}.two"]
        assert self.ids(tasks, prefix=f"{name}.three") == []
        for wrong in ("", "A", "a%", 7):
            assert refused(tasks, "template.list", prefix=wrong).code == "invalid_message"

    def test_by_tag(self, tasks: Tasks) -> None:
        """One of the texts in the metadata's tags, which need not be there."""
        tag = templates.template_id("tag")
        one = templates.created(tasks, metadata={"tags": ["x", tag]})
        for metadata in ({"tags": tag}, {"tags": [f"{tag}!"]}, {"tags": {tag: 1}}, {"a": [tag]}):
            templates.created(tasks, metadata=metadata)
        assert self.ids(tasks, tag=tag) == [one]
        tasks.call("template.update", {"template_id": one, "metadata": {"tags": []}})
        assert self.ids(tasks, tag=tag) == []

    def test_by_text(self, tasks: Tasks) -> None:
        """In ids, names, descriptions and the current version's sources, in any case."""
        word = f"Wörd%{templates.template_id('t')[-8:]}"
        named = templates.created(tasks, name=f"The {word}")
        described = templates.created(tasks, description=word.lower())
        written = templates.published(tasks, f"<p>{word.upper()}</p>")
        translated = templates.published(tasks, "x", translations={"de": {"body": word}})
        own = templates.published(tasks, "x", text=f"a {word}", preheader="p")
        old = templates.published(tasks, word)
        tasks.call("version.publish", {"template_id": old, "body": "new"})
        found = self.ids(tasks, text=word)
        assert sorted(found) == sorted([named, described, written, translated, own])
        assert self.ids(tasks, text=word.replace("%", "_")) == []
        assert self.ids(tasks, text=word, type="sms") == []


def test_an_update_returns_the_current_version(tasks: Tasks) -> None:
    """The answer is the template as it is now."""
    template = templates.published(tasks)
    assert (
        tasks.call("template.update", {"template_id": template, "name": "B"})["current_version"]
        == "1"
    )


def test_a_deleted_template_is_gone_and_comes_back(tasks: Tasks, rows: Rows) -> None:
    """Soft delete: no task finds it but restore and create, and its versions stay."""
    template = templates.published(tasks, translations={"de": {"body": "Hallo {{ name }}"}})
    counts = rows.counts(template)
    deleted = tasks.call("template.delete", {"template_id": template})
    assert deleted["deleted_at"] is not None
    assert deleted["current_version"] == "1"
    messages: dict[str, dict[str, Any]] = {
        "template.get": {},
        "template.update": {"name": "B"},
        "template.delete": {},
        "version.publish": {"body": "B"},
        "version.activate": {"version": "1"},
        "version.list": {},
        "version.diff": {"from_version": "1", "to_version": "1"},
        "translation.upsert": {"language_code": "de", "body": "B"},
        "translation.delete": {"language_code": "de"},
        "render.one": {"variables": {"name": "A"}},
        "render.batch": {"items": [{"key": 1, "variables": {"name": "A"}}]},
    }
    for task, keywords in messages.items():
        error = refused(tasks, task, template_id=template, **keywords)
        assert (error.code, error.paths) == ("template_not_found", {"template_id"}), task
    assert rows.counts(template) == counts
    restored = tasks.call("template.restore", {"template_id": template})
    assert (restored["deleted_at"], restored["current_version"]) == (None, "1")
    rendered = tasks.call("render.one", {"template_id": template, "variables": {"name": "A"}})
    assert rendered["body"] == "<p>Dear A</p>"


def test_restoring_an_existing_template_changes_nothing(tasks: Tasks) -> None:
    """A message that is sent twice is no error."""
    template = templates.created(tasks)
    before = tasks.call("template.get", {"template_id": template})["template"]
    assert tasks.call("template.restore", {"template_id": template}) == before


@each(
    ("task", "keywords"),
    [
        ("template.get", {}),
        ("template.update", {"name": "B"}),
        ("template.delete", {}),
        ("template.restore", {}),
        ("version.publish", {"body": "B"}),
        ("version.activate", {"version": "1"}),
        ("version.list", {}),
        ("version.diff", {"from_version": "1", "to_version": "1"}),
        ("translation.upsert", {"language_code": "de", "body": "B"}),
        ("translation.delete", {"language_code": "de"}),
        ("render.one", {}),
        ("render.batch", {"items": []}),
    ],
)
def test_a_missing_template_is_not_found(tasks: Tasks, task: str, keywords: dict[str, Any]) -> None:
    """The answer names the id."""
    missing = templates.template_id("missing")
    error = refused(tasks, task, template_id=missing, **keywords)
    assert (error.code, error.paths) == ("template_not_found", {"template_id"})
    assert missing in error.message


class TestGet:
    """``template.get``: template, version, languages and their state, one language's text."""

    def test_get_returns_no_version_before_the_first_publish(self, tasks: Tasks) -> None:
        """The template alone; asking for a version or a language is refused."""
        template = templates.created(tasks)
        answer = tasks.call("template.get", {"template_id": template})
        assert (answer["version"], answer["languages"], answer["text"]) == (None, [], None)
        for keywords in ({"version": "1"}, {"language": "de"}):
            error = refused(tasks, "template.get", template_id=template, **keywords)
            assert error.code == "version_not_found"

    def test_get_returns_the_current_version_with_its_languages(self, tasks: Tasks) -> None:
        """The version's own language comes first, then the translations in order."""
        template = templates.published(
            tasks,
            subject="Hi",
            metadata={"language": "fr", "campaign": 7},
            translations={"pt-br": {"body": "P {{ name }}"}, "de": {"body": "D {{ name }}"}},
        )
        answer = tasks.call("template.get", {"template_id": template})
        version = answer["version"]
        assert version["body"] == "<p>Dear {{ name }}</p>"
        assert version["metadata"] == {"language": "fr", "campaign": 7}
        assert (version["version"], version["subject"], version["is_current"]) == ("1", "Hi", True)
        assert version["variables"] == [{"name": "name", "type": "any", "required": True}]
        assert answer["languages"] == [
            {"language": "fr", "state": "source"},
            {"language": "de", "state": "current"},
            {"language": "pt-BR", "state": "current"},
        ]
        assert answer["text"] is None

    def test_get_returns_the_text_of_one_language(self, tasks: Tasks) -> None:
        """As it is stored: a null subject is not filled in, for it is the editor's view."""
        template = templates.published(
            tasks, subject="Hi", translations={"de": {"body": "D {{ name }}"}}
        )
        german = tasks.call("template.get", {"template_id": template, "language": "DE"})["text"]
        assert german == {
            "language": "de",
            "state": "current",
            "subject": None,
            "body": "D {{ name }}",
            "text": None,
            "preheader": None,
        }
        own = tasks.call("template.get", {"template_id": template, "language": "en"})["text"]
        assert (own["state"], own["subject"]) == ("source", "Hi")
        error = refused(tasks, "template.get", template_id=template, language="it")
        assert (error.code, error.paths) == ("language_not_found", {"language"})
        assert error.details[0]["message"] == "available: en, de"

    def test_get_returns_an_older_version(self, tasks: Tasks) -> None:
        """The answer also names the current version."""
        template = templates.published(tasks, "One")
        tasks.call("version.publish", {"template_id": template, "body": "Two"})
        answer = tasks.call("template.get", {"template_id": template, "version": "1"})
        assert (answer["version"]["body"], answer["version"]["is_current"]) == ("One", False)
        assert answer["template"]["current_version"] == "2"
        error = refused(tasks, "template.get", template_id=template, version="3")
        assert (error.code, error.paths) == ("version_not_found", {"version"})


class TestList:
    """``template.list``: pages in the order of the ids."""

    @pytest.fixture
    def category(self) -> str:
        """Give a category that no other test uses."""
        return uuid.uuid4().hex

    def pages(self, tasks: Tasks, **keywords: Any) -> Iterator[list[str]]:  # noqa: ANN401 - any JSON value
        """Yield the ids of each page, following ``next``."""
        after: dict[str, str] = {}
        while True:
            page = tasks.call("template.list", keywords | after)
            yield [template["template_id"] for template in page["templates"]]
            if page["next"] is None:
                return
            after = {"after": page["next"]}

    def test_pages_have_neither_gaps_nor_repeats(self, tasks: Tasks, category: str) -> None:
        """Also where the last page is exactly full."""
        ids = sorted(templates.created(tasks, category=category) for _ in range(6))
        for limit in (1, 2, 3, 5, 6, 7):
            pages = list(self.pages(tasks, category=category, limit=limit))
            assert [template for page in pages for template in page] == ids
            assert all(len(page) <= limit for page in pages)
            assert len(pages) == -(-len(ids) // limit)

    def test_a_page_is_not_moved_by_what_comes_before_it(self, tasks: Tasks, category: str) -> None:
        """Keyset pagination: a new template on an earlier page shifts nothing."""
        ids = sorted(templates.created(tasks, category=category) for _ in range(4))
        first = tasks.call("template.list", {"category": category, "limit": 2})
        tasks.call(
            "template.create",
            {"template_id": f"0{ids[0]}", "name": "A", "type": "sms", "category": category},
        )
        second = tasks.call(
            "template.list", {"category": category, "limit": 2, "after": first["next"]}
        )
        assert [template["template_id"] for template in second["templates"]] == ids[2:]

    def test_list_combines_its_filters(self, tasks: Tasks, category: str) -> None:
        """Type, category and is_active; left out, each means any."""
        made = {
            (kind, active): templates.created(tasks, type=kind, category=category, is_active=active)
            for kind in ("sms", "email")
            for active in (True, False)
        }
        listed = next(self.pages(tasks, category=category))
        assert set(listed) == set(made.values())
        listed = next(self.pages(tasks, category=category, type="sms"))
        assert set(listed) == {made["sms", True], made["sms", False]}
        listed = next(self.pages(tasks, category=category, is_active=False))
        assert set(listed) == {made["sms", False], made["email", False]}
        listed = next(self.pages(tasks, category=category, type="email", is_active=True))
        assert listed == [made["email", True]]

    def test_deleted_templates_are_not_listed(self, tasks: Tasks, category: str) -> None:
        """Until they are restored."""
        template = templates.created(tasks, category=category)
        tasks.call("template.delete", {"template_id": template})
        assert next(self.pages(tasks, category=category)) == []
        tasks.call("template.restore", {"template_id": template})
        assert next(self.pages(tasks, category=category)) == [template]

    def test_each_template_is_listed_once_with_its_current_version(
        self, tasks: Tasks, category: str
    ) -> None:
        """However many versions it has."""
        template = templates.created(tasks, category=category)
        for _ in range(3):
            tasks.call("version.publish", {"template_id": template, "body": "x"})
        page = tasks.call("template.list", {"category": category})
        assert [listed["current_version"] for listed in page["templates"]] == ["3"]
        assert page["next"] is None
