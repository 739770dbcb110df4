"""Errors of the contract: one class for each code, readable by clients of any language."""

import copy
import json
import pickle
from typing import Any

from celery import Celery
from celery.backends.base import Backend

from tasks import errors
from tasks.errors import Code, ServiceError
from tests.support.cases import each

CONTRACT = {
    "invalid_message",
    "too_large",
    "template_exists",
    "template_not_found",
    "template_inactive",
    "template_in_use",
    "version_exists",
    "version_not_found",
    "version_conflict",
    "version_not_draft",
    "breaking_change",
    "bundle_refused",
    "language_not_found",
    "template_syntax",
    "placeholder_mismatch",
    "variables_invalid",
    "render_limit_exceeded",
    "idempotency_conflict",
    "poison_message",
    "maintenance_failed",
    "unavailable",
}

CLASSES = ServiceError.__subclasses__()
EVERY = each("error", CLASSES)
PROBLEM: errors.Problem = {
    "path": "body",
    "type": "syntax_error",
    "message": "expected",
    "line": 1,
    "column": 2,
    "snippet": "{{\n ^",
}


def test_the_codes_are_those_of_the_contract() -> None:
    """No more and no fewer: producers branch on them."""
    assert {str(code) for code in Code} == CONTRACT


def test_every_code_has_one_class() -> None:
    """``exc_type`` and the code say the same; the class's name is the code's."""
    codes = [error.code for error in CLASSES]
    assert sorted(codes) == sorted(set(codes))
    assert {str(code) for code in codes} == CONTRACT
    for error in CLASSES:
        snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in error.__name__)
        assert snake.removeprefix("_") == error.code


@EVERY
def test_an_error_is_built_anew_from_what_is_stored(error: type[ServiceError]) -> None:
    """Celery's result backend stores ``exc_message`` as JSON and calls the class with it."""
    made = error.of("a sentence", [PROBLEM])
    stored = json.loads(json.dumps(made.args))
    assert stored == [str(error.code), "a sentence", [PROBLEM]]
    again = error(*stored)
    assert (again.args, again.message, again.details) == (made.args, "a sentence", [PROBLEM])


@EVERY
def test_a_client_of_any_language_reads_code_message_details(error: type[ServiceError]) -> None:
    """What Celery itself makes of an error for a JSON result."""
    with Celery("reader", set_as_current=False) as app:
        app.conf.result_serializer = "json"
        backend: Any = Backend(app)
        stored = json.loads(json.dumps(backend.prepare_exception(error.of("a", [PROBLEM]))))
        assert stored["exc_type"] == error.__name__
        assert stored["exc_message"] == [str(error.code), "a", [PROBLEM]]
        restored = backend.exception_to_python(stored)
    assert type(restored) is error
    assert restored.args == error.of("a", [PROBLEM]).args


@EVERY
def test_an_error_survives_the_pool(error: type[ServiceError]) -> None:
    """The prefork pool pickles it; a thread copies it."""
    made = error.of("a sentence", [PROBLEM])
    for again in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):  # noqa: S301 - our own bytes
        assert type(again) is error
        assert again.args == made.args


@EVERY
def test_the_repr_is_for_logs(error: type[ServiceError]) -> None:
    """Code and sentence; the details stay in the answer."""
    text = repr(error.of("a sentence", [PROBLEM]))
    assert text == f"{error.__name__}({error.code}: a sentence)"


def test_details_cannot_be_changed_from_outside() -> None:
    """The list that is handed out is a copy."""
    made = errors.InvalidMessage.of("a", [PROBLEM])
    made.details.clear()
    assert made.details == [PROBLEM]


def test_hints_lead_on() -> None:
    """A refusal that can be helped says how."""
    exists = errors.TemplateExists.named("a", deleted=True).details[0]["message"]
    assert "template.restore" in exists
    assert "restore" not in errors.TemplateExists.named("a", deleted=False).details[0]["message"]
    assert "version.publish" in errors.VersionNotFound.named("a", None).details[0]["message"]
    assert "version.list" in errors.VersionNotFound.named("a", "1").details[0]["message"]


def test_a_version_conflict_names_both_versions() -> None:
    """The loser of a race sees what it expected and what there is."""
    message = errors.VersionConflict.between("a", "1", "2").message
    assert "'1'" in message
    assert "'2'" in message
    assert "none" in errors.VersionConflict.between("a", "1", None).message


def test_a_language_that_is_missing_names_those_there_are() -> None:
    """So that a producer may choose."""
    named = errors.LanguageNotFound.named("language", "it", ["de", "fr"])
    assert named.details[0]["message"] == "available: de, fr"
    assert (
        errors.LanguageNotFound.named("language", "it", []).details[0]["message"].endswith("none")
    )
