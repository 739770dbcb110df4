"""Authors with folders of templates, on a service in memory."""

from pathlib import Path
from typing import Any

from tasks.rendering.client import Renderer
from tasks.rendering.texts import Sources
from tests.support.definitions import LIMITS, simple, written
from tests.support.service import Service
from worker.authoring import journal
from worker.authoring.check import Checker
from worker.authoring.definition import Definition
from worker.authoring.plan import Action
from worker.authoring.pull import Pull, Pulled
from worker.authoring.push import Outcome, Permissions, Plan, Push
from worker.authoring.reading import read_folder
from worker.authoring.state import State

BROKER = "redis://user:secret@broker.example:6379/0"


class Author:
    """Somebody with a folder of templates."""

    def __init__(self, root: Path, service: Service, renderer: Renderer) -> None:
        self.root = root
        self.service = service
        self._renderer = renderer
        root.mkdir(exist_ok=True)

    def edit(self, *those: Definition) -> None:
        """Write templates."""
        written(self.root, *those)

    def pull(self, **options: bool) -> dict[str, Pulled]:
        """Pull; return what became of each template."""
        journal.resume(self.root)
        pull = Pull(read_folder(self.root, LIMITS), self.service, State(self.root, BROKER))
        return {step.template_id: step.action for step in pull.run(None, **options)}

    def plan(self, *, overwrite: bool = False) -> tuple[Push, Plan]:
        """Plan a push."""
        folder = read_folder(self.root, LIMITS)
        state = State(self.root, BROKER)
        push = Push(folder, self.service, state, lambda: Checker(folder, self._renderer, "en"))
        return push, push.plan(None, overwrite=overwrite)

    def actions(self, *, overwrite: bool = False) -> dict[str, Action]:
        """Return what a push would do."""
        _, plan = self.plan(overwrite=overwrite)
        return {step.template_id: step.action for step in plan.steps}

    def push(self, *, atomic: bool = False, **allowed: bool) -> list[Outcome]:
        """Push what may be pushed."""
        permissions = Permissions(**allowed)
        push, plan = self.plan(overwrite=permissions.overwrite)
        assert [str(each) for each in plan.findings if each.is_error] == []
        assert plan.conflicts == []
        assert plan.blocked(permissions) == []
        if atomic:
            return [push.apply_at_once(plan, permissions)]
        return [*push.apply(plan, permissions, lambda _: None)]


def with_body(body: str, **changes: Any) -> Definition:  # noqa: ANN401 - members of any type
    """Return the greeting with another body."""
    return simple(own=Sources("Hello {{ name }}", body), **changes)
