"""Push: from a folder to the service, with a plan first."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from db.errors import OperationError
from tasks.errors import Problem
from worker.authoring import service as remotes
from worker.authoring.dependencies import Dependencies
from worker.authoring.findings import Finding, Severity, errors, of_template
from worker.authoring.folder import Folder
from worker.authoring.plan import Action, Step, compare, decide, in_order
from worker.authoring.service import Caller, Remote
from worker.authoring.state import Base, State

if TYPE_CHECKING:
    from worker.authoring.check import Checker

_SAVE_SECONDS: Final = 1.0
"""Between two saves of the state while messages are answered."""

_TOGETHER: Final = 10
"""Templates in one message. With one in each, 1,000 take a worker more than twice as long; with 20
in each it takes hardly less."""

_TOGETHER_CHARACTERS: Final = 100_000
"""Texts in one message of several templates: far within the bytes and seconds of a bundle."""


class Sender(Caller, Protocol):
    """A caller that has many messages in flight."""

    def stream_calls(
        self, task: str, messages: Mapping[str, Mapping[str, Any]]
    ) -> Iterator[tuple[str, dict[str, Any] | Exception]]:
        """Send messages by key; yield each answer, or refusal, with its key."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """Permissions of a push.

    ``draft`` publishes without making current, ``atomic`` all templates in one message.
    """

    overwrite: bool = False
    breaking: bool = False
    dropped: bool = False
    draft: bool = False
    atomic: bool = False


@dataclass(slots=True)
class Plan:
    """Plan of a push.

    Attributes
    ----------
    steps
        The step of each template, by id.
    groups
        The steps that publish, partials before their users.
    findings
        Findings about the templates to publish, and about templates that use them.
    """

    steps: list[Step]
    groups: list[list[Step]]
    findings: list[Finding]
    remote: Mapping[str, Remote]

    @property
    def conflicts(self) -> list[Step]:
        """The steps that would overwrite what others have published."""
        return [step for step in self.steps if step.action is Action.CONFLICT]

    def blocked(self, allowed: Permissions) -> list[str]:
        """Return a sentence for each step that the author has not allowed."""
        reasons = []
        for step in (step for group in self.groups for step in group):
            # In one message the service lets a partial change that breaks none of its users.
            is_decided_there = allowed.atomic and step.type == "partial"
            if step.breaking and not allowed.breaking and not is_decided_there:
                what = "; ".join(f"{each['path']}: {each['message']}" for each in step.breaking)
                reasons.append(f"{step.template_id}: breaks producers, pass --breaking: {what}")
            if step.dropped and not allowed.dropped:
                names = ", ".join(step.dropped)
                reasons.append(
                    f"{step.template_id}: the translations {names} are not in the folder and would "
                    "be dropped: pull them, or pass --drop-translations"
                )
        return reasons


@dataclass(slots=True)
class Outcome:
    """Result of a push: versions by template, and refusals."""

    published: dict[str, str | None] = field(default_factory=dict)
    refused: list[Finding] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


class Push:
    """Publishes the templates of a folder that differ from the service's.

    Parameters
    ----------
    folder
        The folder, as it was read.
    service
        Where to.
    state
        What the folder has pulled.
    checker
        Returns what checks the folder; called only where something is to be published, for it
        imports the gate.
    """

    def __init__(
        self, folder: Folder, service: Sender, state: State, checker: Callable[[], "Checker"]
    ) -> None:
        self._folder = folder
        self._service = service
        self._state = state
        self._checker = checker
        self._definitions = {each.template_id: each for each in folder.definitions()}
        self._graph = Dependencies(self._definitions.values())

    def plan(self, ids: Collection[str] | None, *, overwrite: bool = False) -> Plan:
        """Return what would be done with templates, all or those named; nothing is sent."""
        names = sorted(self._definitions) if ids is None else sorted(ids)
        known = remotes.digests(self._service)
        steps = {
            name: self._decide(name, known.get(name), overwrite=overwrite)
            for name in names
            if name in self._definitions
        }
        changed = {name for name, step in steps.items() if step.action is not Action.UNCHANGED}
        # Who uses a changed partial may not fit it any more.
        partials = {name for name in changed if self._definitions[name].type == "partial"}
        broken = {each.template_id for each in errors(self._folder.every_finding())}
        only = changed | self._graph.users(partials)
        only |= broken if ids is None else broken & self._graph.reached(ids) | (broken & {""})
        checked = self._checker().check(only) if only else None
        for name in changed:
            passed = None if checked is None else checked.passed.get(name)
            if passed is not None and self._definitions[name].variables is None:
                digest = passed.definition.declaring(passed.variables).digest()
                if name in known and known[name].digest == digest:
                    steps[name].action = Action.UNCHANGED
        self._complete(steps, known)
        for name, step in steps.items():
            if step.action is Action.UNCHANGED and name in known:
                self._note(name, known[name].version, known[name].digest)
        groups = in_order(steps.values(), self._graph.order())
        found = [] if checked is None else checked.findings
        return Plan(list(steps.values()), groups, found, known)

    def apply(
        self,
        plan: Plan,
        allowed: Permissions,
        progress: Callable[[int], None],
        *,
        dry_run: bool = False,
    ) -> Iterator[Outcome]:
        """Publish templates, partials first, each whole or not at all; yield results.

        ``progress`` is called with the number of templates that are answered. A template whose
        partial was refused is not sent. In a dry run the service stores nothing, and each template
        is sent with the changed partials that it uses.
        """
        failed: set[str] = set()
        done = 0
        saved = time.monotonic()
        try:
            for group in plan.groups:
                ready = []
                for step in group:
                    name = step.template_id
                    if failed & self._graph.reached([name]):
                        failed.add(name)
                        yield Outcome(skipped=[name])
                    else:
                        ready.append(step)
                for names, outcome in self._answers(ready, plan, allowed, dry_run=dry_run):
                    if outcome.refused or outcome.conflicts:
                        failed.update(names)
                    done += len(names)
                    progress(done)
                    if not dry_run and time.monotonic() - saved > _SAVE_SECONDS:
                        self.save()
                        saved = time.monotonic()
                    yield outcome
        finally:
            if not dry_run:
                self.save()

    def apply_at_once(self, plan: Plan, allowed: Permissions, *, dry_run: bool = False) -> Outcome:
        """Publish all templates in one message: all of them or none."""
        steps = [step for group in plan.groups for step in group]
        message = self._message(steps, plan, allowed, dry_run=dry_run)
        ((_, answer),) = self._service.stream_calls("bundle.apply", {"": message})
        outcome = self._outcome(
            [step.template_id for step in steps], answer, is_draft=allowed.draft
        )
        if not dry_run:
            self.save()
        return outcome

    def _answers(
        self, steps: Sequence[Step], plan: Plan, allowed: Permissions, *, dry_run: bool
    ) -> Iterator[tuple[list[str], Outcome]]:
        """Send templates that do not use each other; yield their ids with results.

        A message of several publishes all of them or none: when it is refused, each is sent again
        in a message of its own.
        """
        sets = [[step] for step in steps] if dry_run else self._sets(steps)
        while sets:
            sent = {each[0].template_id: each for each in sets}
            messages = {
                name: self._message(
                    self._with_partials(each[0], plan) if dry_run else each,
                    plan,
                    allowed,
                    dry_run=dry_run,
                )
                for name, each in sent.items()
            }
            sets = []
            for name, answer in self._service.stream_calls("bundle.apply", messages):
                if isinstance(answer, Exception) and len(sent[name]) > 1:
                    sets += [[step] for step in sent[name]]
                else:
                    names = [step.template_id for step in sent[name]]
                    yield names, self._outcome(names, answer, is_draft=allowed.draft)

    def _sets(self, steps: Iterable[Step]) -> list[list[Step]]:
        """Return templates by message. A partial has its own: its users are checked with it."""
        sets: list[list[Step]] = []
        room = -1
        for step in steps:
            texts = self._definitions[step.template_id].texts()
            size = sum(len(source) for _, text in texts for source in text.given())
            if step.type == "partial" or size > room or len(sets[-1]) == _TOGETHER:
                sets.append([])
                room = _TOGETHER_CHARACTERS
            sets[-1].append(step)
            room = -1 if step.type == "partial" else room - size
        return sets

    def save(self) -> None:
        """Record the templates that were published, or that the plan found published already."""
        # A folder that cannot be written, as in a CI job, has no state: the next push asks again.
        with suppress(OperationError):
            self._state.save()

    def _decide(self, name: str, remote: Remote | None, *, overwrite: bool) -> Step:
        definition = self._definitions[name]
        return decide(definition, remote, self._state.get(name), overwrite=overwrite)

    def _complete(self, steps: Mapping[str, Step], known: dict[str, Remote]) -> None:
        wanted = {
            name: step
            for name, step in steps.items()
            if step.action in {Action.CHANGE, Action.CONFLICT} and step.version is not None
        }
        if not wanted:
            return
        for remote in remotes.contents(self._service, wanted):
            step = wanted[remote.template_id]
            compare(step, self._definitions[remote.template_id], remote.definition)
            if remote.digest == self._definitions[remote.template_id].digest():
                # Published since the digests were read, as by a push that was interrupted.
                step.action, step.version = Action.UNCHANGED, remote.version
                step.reason, known[step.template_id] = "", remote
            elif step.only_line_endings:
                step.action = Action.UNCHANGED
                step.reason = "differs only in line endings: nothing is published"
            elif step.type == "partial":
                details = self._service.call("template.get", {"template_id": step.template_id})
                step.users = [user["template_id"] for user in details["used_by"]]

    def _with_partials(self, step: Step, plan: Plan) -> list[Step]:
        names = self._graph.reached([step.template_id])
        return [each for group in plan.groups for each in group if each.template_id in names]

    def _message(
        self, steps: Collection[Step], plan: Plan, allowed: Permissions, *, dry_run: bool
    ) -> dict[str, Any]:
        entries = [self._entry(step, plan, allowed) for step in steps]
        return {"templates": entries, "dry_run": dry_run}

    def _entry(self, step: Step, plan: Plan, allowed: Permissions) -> dict[str, Any]:
        definition = self._definitions[step.template_id]
        entry = definition.entry()
        # The folder is the whole: a language that it has not is dropped, as the plan has shown.
        entry["version"] |= {
            "carry_translations": False,
            "allow_breaking": allowed.breaking,
            "allow_dropped_translations": allowed.dropped,
            "activate": not allowed.draft,
        }
        remote = plan.remote.get(step.template_id)
        if remote is None:
            entry["expected_version"] = 0
        else:
            entry["expected_version"] = 0 if remote.version is None else remote.version
            entry["expected_digest"] = remote.digest
        return entry

    def _outcome(
        self, names: list[str], answer: dict[str, Any] | Exception, *, is_draft: bool
    ) -> Outcome:
        if isinstance(answer, dict) and answer["dry_run"]:
            own = [each for each in answer["templates"] if each["template_id"] in names]
            return self._problems(names, [found for each in own for found in each["problems"]])
        if isinstance(answer, dict):
            outcome = Outcome()
            for result in answer["templates"]:
                name = result["template_id"]
                outcome.published[name] = result["version"]
                if not is_draft:
                    self._note(name, result["version"], result["digest"])
            return outcome
        code, message, details = answer.args
        found = details or [{"path": "", "type": code, "message": message}]
        return self._problems(names, [{"code": code} | each for each in found])

    def _problems(self, names: list[str], problems: Collection[Problem]) -> Outcome:
        """Return why templates are refused."""
        outcome = Outcome()
        for problem in problems:
            # A problem of the message as a whole, such as its size, is of no template.
            name = problem.get("template_id") or (names[0] if len(names) == 1 else "")
            if problem["code"] == "version_conflict":
                outcome.conflicts.append(f"{name}: {problem['message']}")
            else:
                outcome.refused.append(self._finding(name, problem))
        return outcome

    def _finding(self, name: str, problem: Problem) -> Finding:
        """Return a problem of an entry as a finding in the file of the folder."""
        template = self._folder.by_id().get(name)
        path = problem["path"].partition("].")[2]
        if template is None:
            return Finding(".", 0, 0, Severity.ERROR, problem["type"], problem["message"])
        if path.startswith("version."):
            found = template.finding({**problem, "path": path.removeprefix("version.")})
        else:
            found = template.field_finding({**problem, "path": path})
        return of_template(name, [found])[0]

    def _note(self, name: str, version: str | None, digest: str) -> None:
        self._state.set(name, Base(version, digest, self._definitions[name].digest()))
