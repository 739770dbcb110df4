"""Push between folders and a service: nobody's work is overwritten unnoticed."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from db.errors import OperationError
from tasks.rendering.texts import Sources
from tests.support.authors import BROKER, Author, with_body
from tests.support.definitions import simple
from tests.support.service import Service, away
from worker.authoring.plan import Action
from worker.authoring.pull import Pulled
from worker.authoring.push import Permissions
from worker.authoring.state import State


def test_a_push_publishes_once(ada: Author, service: Service) -> None:
    """The second one has nothing to do, and asks for digests only."""
    ada.edit(simple(), simple("other"))
    assert [outcome.published for outcome in ada.push()] == [{"greeting": "1", "other": "1"}]
    service.received.clear()
    assert ada.push() == []
    assert [task for task, _ in service.received] == ["template.export"]
    assert service.received[0][1]["content"] is False
    ada.edit(with_body("<p>Dear {{ name }}</p>"))
    assert [outcome.published for outcome in ada.push()] == [{"greeting": "2"}]


def test_a_dry_run_finds_what_the_service_would_refuse(ada: Author, service: Service) -> None:
    """Each template goes with the changed partials that it uses; nothing is published or noted."""
    footer = simple("footer", type="partial", own=Sources(None, "<p>{{ name }}</p>"))
    user = with_body('<p>{{ name }}</p>{% include "footer" %}')
    ada.edit(footer, user)
    push, plan = ada.plan()
    outcomes = [*push.apply(plan, Permissions(), lambda _: None, dry_run=True)]
    assert [(each.refused, each.published) for each in outcomes] == [([], {}), ([], {})]
    sent = [keywords for task, keywords in service.received if task == "bundle.apply"]
    names = [[each["template_id"] for each in keywords["templates"]] for keywords in sent]
    assert names == [["footer"], ["footer", "greeting"]]
    assert service.templates == {}
    service.publish(with_body("<p>Somebody else's</p>"))
    outcomes += push.apply(plan, Permissions(), lambda _: None, dry_run=True)
    assert [len(each.conflicts) for each in outcomes[2:]] == [0, 1]
    assert service.version("greeting") == "1"


def test_two_authors_never_overwrite_each_other(
    ada: Author, grace: Author, service: Service
) -> None:
    """The second one is told of both versions, and decides."""
    service.publish(simple())
    ada.pull()
    grace.pull()
    ada.edit(with_body("<p>Ada's {{ name }}</p>"))
    ada.push()
    grace.edit(with_body("<p>Grace's {{ name }}</p>"))
    _, plan = grace.plan()
    (step,) = plan.conflicts
    assert "version '2' is current, and version '1' was when it was pulled" in step.reason
    assert plan.groups == []
    assert grace.pull() == {"greeting": Pulled.CONFLICT}
    assert "Grace's" in (grace.root / "greeting" / "body.html").read_text()
    grace.push(overwrite=True)
    assert service.version("greeting") == "3"


def test_a_version_that_comes_between_plan_and_push_is_a_conflict(
    ada: Author, service: Service
) -> None:
    """The message names the version that the plan has seen."""
    service.publish(simple())
    ada.pull()
    ada.edit(with_body("<p>Ada's {{ name }}</p>"))
    push, plan = ada.plan()
    service.publish(with_body("<p>Grace's {{ name }}</p>"))
    (outcome,) = push.apply(plan, Permissions(), lambda _: None)
    assert outcome.conflicts == [
        "greeting: expected '1', current is '2': read the template again, then resend"
    ]
    assert outcome.published == {}
    definition = service.definition("greeting")
    assert definition is not None
    assert "Grace" in definition.own.body


def test_a_folder_that_has_never_pulled_overwrites_nothing(ada: Author, service: Service) -> None:
    """Unless it is told to, as in CI, or has the same."""
    service.publish(simple())
    ada.edit(simple())
    assert ada.actions() == {"greeting": Action.UNCHANGED}
    service.publish(with_body("<p>{{ name }}</p>"))
    ada.edit(with_body("<p>Dear {{ name }}</p>"))
    assert ada.actions() == {"greeting": Action.CONFLICT}
    assert ada.actions(overwrite=True) == {"greeting": Action.CHANGE}


def test_what_others_published_is_behind_where_nothing_was_edited(
    ada: Author, service: Service
) -> None:
    """It is not pushed back, and the next pull takes it."""
    service.publish(simple())
    ada.pull()
    service.publish(with_body("<p>Dear {{ name }}</p>"))
    assert ada.actions() == {"greeting": Action.BEHIND}
    assert ada.pull() == {"greeting": Pulled.CHANGED}
    assert "Dear" in (ada.root / "greeting" / "body.html").read_text()


def test_partials_come_before_their_users(ada: Author, service: Service) -> None:
    """A user of a refused partial is not sent."""
    footer = simple("footer", type="partial", own=Sources(None, "<p>Example</p>"), variables=[])
    user = with_body('<p>{{ name }}</p>{% include "footer" %}')
    ada.edit(user, footer, simple("another"))
    ada.push()
    sent = [
        template["template_id"]
        for task, each in service.received
        for template in each.get("templates", ())
        if "bundle" in task
    ]
    assert sent.index("footer") < sent.index("greeting")

    def refuse(task: str, keywords: Mapping[str, Any]) -> None:
        if task == "bundle.apply" and keywords["templates"][0]["template_id"] == "footer":
            service.publish(replace(footer, name="Another"))

    ada.edit(replace(footer, name="Footer"), replace(user, name="User"))
    service.before = refuse
    outcomes = ada.push()
    assert [outcome.skipped for outcome in outcomes if outcome.skipped] == [["greeting"]]
    assert [outcome.conflicts for outcome in outcomes if outcome.conflicts] != []


def test_the_plan_says_what_comes_of_a_change(ada: Author, service: Service) -> None:
    """Parts, stale and dropped translations, breaking changes, users of a partial."""
    footer = simple("footer", type="partial", own=Sources(None, "<p>{{ name }}</p>"))
    german, french = (
        Sources(None, "<p>Hallo {{ name }}</p>"),
        Sources(None, "<p>Salut {{ name }}</p>"),
    )
    body = '{% include "footer" %}{{ name }}'
    service.publish(footer)
    service.publish(with_body(body, translations={"de": german, "fr": french}))
    ada.pull()
    number = [{"name": "name", "type": "integer", "required": True, "example": 1}]
    ada.edit(
        replace(footer, own=Sources(None, "<b>{{ name }}</b>")),
        with_body(
            '{% include "footer" %}: {{ name }}', translations={"de": german}, variables=number
        ),
    )
    _, plan = ada.plan()
    steps = {step.template_id: step for step in plan.steps}
    assert steps["footer"].users == ["greeting"]
    greeting = steps["greeting"]
    assert greeting.parts == ["body", "variables", "translations.fr"]
    assert (greeting.stale, greeting.dropped) == (["de"], ["fr"])
    assert [each["type"] for each in greeting.breaking] == ["type_changed"]
    blocked = plan.blocked(Permissions())
    assert len(blocked) == 2
    assert plan.blocked(Permissions(breaking=True, dropped=True)) == []


def test_a_change_of_line_endings_is_none(ada: Author, service: Service) -> None:
    """A checkout with CRLF publishes nothing anew."""
    service.publish(with_body("<p>\n{{ name }}</p>\n"))
    ada.pull()
    (ada.root / "greeting" / "body.html").write_bytes(b"<p>\r\n{{ name }}</p>\r\n")
    _, plan = ada.plan()
    assert plan.groups == []
    assert plan.steps[0].reason == "differs only in line endings: nothing is published"


def test_inferred_variables_are_no_change(ada: Author, service: Service) -> None:
    """The service stores those that it found; the folder still has none."""
    ada.edit(simple(variables=None))
    ada.push()
    stored = service.templates["greeting"]
    stored["version"]["variables"] = [{"name": "name", "type": "any", "required": True}]
    definition = service.definition("greeting")
    assert definition is not None
    stored["digest"] = definition.digest()
    assert ada.actions() == {"greeting": Action.UNCHANGED}


def test_errors_stop_a_push_before_anything_is_sent(ada: Author, service: Service) -> None:
    """Also those of a template that is not changed itself."""
    ada.edit(simple(), simple("other"))
    ada.push()
    service.received.clear()
    (ada.root / "other" / "body.html").unlink()
    ada.edit(with_body("<p>{{ nam }}</p>"))
    _, plan = ada.plan()
    assert sorted(each.code for each in plan.findings) == ["missing_file", "undeclared"]
    assert {each.file for each in plan.findings} == {"greeting/body.html", "other/body.html"}
    assert "bundle.apply" not in [task for task, _ in service.received]


def test_an_interrupted_push_goes_on(ada: Author, service: Service) -> None:
    """What was published is not published again, even if the folder does not know of it."""
    names = [f"t{number:02}" for number in range(12)]
    ada.edit(*map(simple, names))

    def disappear(task: str, _: Mapping[str, Any]) -> None:
        if task == "bundle.apply" and service.templates:
            away()

    service.before = disappear
    with pytest.raises(OperationError, match="broker"):
        ada.push()
    assert sorted(service.templates) == names[:10]
    service.before = lambda *_: None
    (ada.root / ".template-service" / "state.json").write_text("{")
    assert [outcome.published for outcome in ada.push()] == [dict.fromkeys(names[10:], "1")]
    assert {service.version(name) for name in service.templates} == {"1"}


def test_a_slow_push_from_a_folder_that_cannot_be_written_publishes_everything(
    ada: Author, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state is saved between answers too, and a job of CI may only read its folder."""
    footer = simple("footer", type="partial", own=Sources(None, "<p>{{ name }}</p>"))
    ada.edit(footer, simple("a"), simple("b"))
    (ada.root / ".template-service").write_text("a file in the place of the state's folder")
    clock = SimpleNamespace(monotonic=count(step=2).__next__)  # 2 s for each answer
    monkeypatch.setattr("worker.authoring.push.time", clock)
    assert [outcome.published for outcome in ada.push()] == [{"a": "1", "b": "1"}, {"footer": "1"}]
    assert sorted(service.templates) == ["a", "b", "footer"]


def test_a_template_published_while_the_plan_is_made_is_unchanged(
    ada: Author, service: Service
) -> None:
    """A worker may still have messages of a push that was killed; the folder's text is there."""
    service.publish(simple())
    ada.pull()
    changed = with_body("<p>Dear {{ name }}</p>")
    ada.edit(changed)

    def publish(task: str, keywords: Mapping[str, Any]) -> None:
        if task == "template.export" and keywords.get("content", True):
            service.publish(changed)

    service.before = publish
    _, plan = ada.plan()
    (step,) = plan.steps
    assert (step.action, step.version, step.reason) == (Action.UNCHANGED, "2", "")


def test_a_conflict_stops_no_other_template_of_its_message(ada: Author, service: Service) -> None:
    """A message of several that is refused is sent again, template by template."""
    footer = simple("footer", type="partial", own=Sources(None, "<p>{{ name }}</p>"))
    large = simple("large", own=Sources("{{ name }}", "x" * 200_000))
    ada.edit(simple("a"), simple("b"), footer, simple("g"), large, simple("z"))
    push, plan = ada.plan()
    service.publish(simple("b", name="Grace's"))
    outcomes = [*push.apply(plan, Permissions(), lambda _: None)]
    sent = [
        [each["template_id"] for each in keywords["templates"]]
        for task, keywords in service.received
        if task == "bundle.apply"
    ]
    assert sent == [["a", "b"], ["footer"], ["g"], ["large"], ["z"], ["a"], ["b"]]
    assert [name for each in outcomes for name in each.published] == [
        "footer",
        "g",
        "large",
        "z",
        "a",
    ]
    assert [each for outcome in outcomes for each in outcome.conflicts] == [
        "b: expected '0', current is '1': read the template again, then resend"
    ]
    assert service.version("b") == "1"


def test_a_set_is_published_in_one_message_or_not_at_all(ada: Author, service: Service) -> None:
    """With the problems of all, each in its file."""
    ada.edit(simple("a"), simple("b"))
    (outcome,) = ada.push(atomic=True)
    assert outcome.published == {"a": "1", "b": "1"}
    assert [task for task, _ in service.received].count("bundle.apply") == 1
    ada.edit(simple("a", name="A"), simple("b", name="B"))
    push, plan = ada.plan()
    service.publish(simple("b", name="Grace's"))
    outcome = push.apply_at_once(plan, Permissions())
    assert outcome.conflicts == [
        "b: expected '1', current is '2': read the template again, then resend"
    ]
    assert service.version("a") == "1"


def test_the_state_has_no_password_and_is_not_committed(ada: Author) -> None:
    """It is of one checkout."""
    ada.edit(simple())
    ada.push()
    folder = ada.root / ".template-service"
    assert "secret" not in (folder / "state.json").read_text()
    assert (folder / ".gitignore").read_text() == "*\n"


def test_a_draft_is_for_nobody_until_it_is_activated(ada: Author, service: Service) -> None:
    """The folder stays as it was pulled, so that a later push publishes it."""
    service.publish(simple())
    ada.pull()
    ada.edit(with_body("<p>Dear {{ name }}</p>"))
    ada.push(draft=True)
    (_, sent) = service.received[-1]
    assert sent["templates"][0]["version"]["activate"] is False
    assert State(ada.root, BROKER).get("greeting") == (
        "1",
        simple().digest(),
        simple().digest(),
    )
