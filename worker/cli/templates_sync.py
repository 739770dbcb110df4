"""``template-service templates push``, ``pull``, ``export`` and ``import``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from db.units import counted
from worker.cli.base import Command
from worker.cli.options import dry_run_option, json_option
from worker.cli.output import print_json
from worker.cli.templates_session import (
    folder_option,
    ids_argument,
    open_producer,
    overwrite_option,
    prefix_of,
    read,
    state_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.authoring.check import Checker
    from worker.authoring.folder import Folder
    from worker.authoring.plan import Step
    from worker.authoring.pull import PullStep
    from worker.authoring.push import Outcome, Permissions, Plan, Push

CONFLICT: Final = 3
"""Exit status of a push or a pull that conflicts with changes of others."""

WOULD_CHANGE: Final = 4
"""Exit status of `push --dry-run --exit-code` that would publish something."""

_MARKS: Final = {"added": "+", "changed": "~", "behind": "<", "conflict": "!", "unchanged": "="}

_breaking_option = click.option(
    "--breaking", is_flag=True, help="Publish changes that break producers, too."
)
_drop_option = click.option(
    "--drop-translations",
    is_flag=True,
    help="Drop translations that the folder or file does not have.",
)
_atomic_option = click.option(
    "--atomic", is_flag=True, help="Publish all templates in one transaction, or none."
)


@click.command(cls=Command, example="templates pull\ntemplates pull welcome --overwrite")
@ids_argument
@folder_option
@overwrite_option
@dry_run_option
@json_option
def pull(
    *, ids: tuple[str, ...], folder: Path, overwrite: bool, dry_run: bool, json_: bool
) -> None:
    """Write the service's templates into a folder. Exits 3 if both have changed."""
    from worker.authoring import journal
    from worker.authoring.pull import Pull

    folder.mkdir(parents=True, exist_ok=True)
    if not dry_run:
        journal.resume(folder)
    local = read(folder)
    steps: list[PullStep] = []
    with open_producer() as producer:
        run = Pull(local, producer, state_of(folder))
        for step in run.run(ids or None, overwrite=overwrite, dry_run=dry_run):
            steps.append(step)
            if not json_ and step.action != "unchanged":
                version = "" if step.version is None else f" (version {step.version})"
                reason = f": {step.reason}" if step.reason else ""
                print(f"{step.action:<10} {step.template_id}{version}{reason}")
    if json_:
        print_json([_pulled(step) for step in steps])
    else:
        same = sum(step.action == "unchanged" for step in steps)
        print(f"{counted(len(steps), 'template')}, {same} unchanged")
    if any(step.action == "conflict" for step in steps):
        raise SystemExit(CONFLICT)


@click.command(
    cls=Command,
    example="templates push --dry-run\ntemplates push\ntemplates push layout welcome --atomic",
)
@ids_argument
@folder_option
@overwrite_option
@_breaking_option
@_drop_option
@_atomic_option
@click.option(
    "--draft", is_flag=True, help="Publish drafts, which are not current until they are activated."
)
@click.option(
    "--exit-code", is_flag=True, help="Exit with status 4 if a dry run would publish something."
)
@dry_run_option
@json_option
def push(  # noqa: PLR0913 - options of a command
    *,
    ids: tuple[str, ...],
    folder: Path,
    overwrite: bool,
    breaking: bool,
    drop_translations: bool,
    atomic: bool,
    draft: bool,
    exit_code: bool,
    dry_run: bool,
    json_: bool,
) -> None:
    """Publish the templates of a folder that differ from the service's.

    Exits 1 if something is refused, and 3 if others have published since the last pull.
    """
    from worker.authoring.push import Permissions

    allowed = Permissions(
        overwrite=overwrite,
        breaking=breaking,
        dropped=drop_translations,
        draft=draft,
        atomic=atomic,
    )
    sync = Publication(folder, allowed, json_=json_)
    sync.run(read(folder), ids, dry_run=dry_run, exit_code=exit_code)


class Publication:
    """A push from a folder or a file, and its output."""

    def __init__(
        self, folder: Path, allowed: Permissions, *, json_: bool, prefix: str = ""
    ) -> None:
        self._folder = folder
        self._allowed = allowed
        self._json = json_
        self._prefix = prefix or prefix_of(folder)

    def run(
        self, folder: Folder, ids: Sequence[str], *, dry_run: bool, exit_code: bool = False
    ) -> None:
        """Show the plan, then do it."""
        from tasks.rendering.client import Renderer
        from worker.authoring.push import Push
        from worker.authoring.settings import author_settings

        folder.require(ids)
        limits, default_language = author_settings()
        # Its processes start when they are needed: most pushes need none.
        with open_producer() as producer, Renderer(limits) as renderer:

            def checker() -> Checker:
                from worker.authoring.check import Checker

                return Checker(folder, renderer, default_language)

            push = Push(folder, producer, state_of(self._folder), checker)
            plan = push.plan(ids or None, overwrite=self._allowed.overwrite)
            self._print_plan(plan)
            self._refuse(plan, dry_run=dry_run)
            outcomes = self._apply(push, plan, dry_run=dry_run)
        self._finish(plan, outcomes, dry_run=dry_run)
        if dry_run and exit_code and plan.groups:
            raise SystemExit(WOULD_CHANGE)

    def _apply(self, push: Push, plan: Plan, *, dry_run: bool) -> list[Outcome]:
        if not plan.groups:
            if not dry_run:
                push.save()
            return []
        if self._allowed.atomic:
            outcome = push.apply_at_once(plan, self._allowed, dry_run=dry_run)
            self._print_outcome(outcome)
            return [outcome]
        outcomes = []
        total = sum(map(len, plan.groups))

        def progress(done: int) -> None:
            self._progress(done, total)

        for outcome in push.apply(plan, self._allowed, progress, dry_run=dry_run):
            outcomes.append(outcome)
            self._print_outcome(outcome)
        return outcomes

    def _print_plan(self, plan: Plan) -> None:
        from worker.authoring import reports

        if self._json:
            return
        if plan.findings:
            print(reports.as_text(plan.findings, self._prefix))
        for step in plan.steps:
            if step.action != "unchanged" or step.reason:
                print(_line(step))
        print(_summary(plan))

    def _refuse(self, plan: Plan, *, dry_run: bool) -> None:
        """End a push that may not be done; nothing has been published."""
        from worker.authoring.findings import errors

        reasons = plan.blocked(self._allowed)
        if not (errors(plan.findings) or plan.conflicts or reasons):
            return
        if self._json:
            self._finish(plan, [], dry_run=dry_run, reasons=reasons)
        for reason in reasons:
            click.echo(reason, err=True)
        click.echo("Nothing was published.", err=True)
        raise SystemExit(CONFLICT if plan.conflicts and not errors(plan.findings) else 1)

    def _progress(self, done: int, total: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{done} of {total}", nl=done == total, err=True)

    def _print_outcome(self, outcome: Outcome) -> None:
        from worker.authoring import reports

        if self._json:
            return
        for name, version in outcome.published.items():
            what = "draft" if self._allowed.draft else "published"
            print(f"{what} {name}: version {version}")
        if outcome.refused:
            print(reports.as_text(outcome.refused, self._prefix))
        for conflict in outcome.conflicts:
            print(f"conflict {conflict}")
        for name in outcome.skipped:
            print(f"skipped {name}: a partial that it uses was refused")

    def _finish(
        self,
        plan: Plan,
        outcomes: Sequence[Outcome],
        *,
        dry_run: bool,
        reasons: Sequence[str] = (),
    ) -> None:
        from worker.authoring.plan import counts

        refused = [each for outcome in outcomes for each in outcome.refused]
        conflicts = [each for outcome in outcomes for each in outcome.conflicts]
        skipped = [each for outcome in outcomes for each in outcome.skipped]
        if self._json:
            published: dict[str, Any] = {}
            for outcome in outcomes:
                published |= outcome.published
            print_json(
                {
                    "dry_run": dry_run,
                    "counts": counts(plan.steps),
                    "templates": [step.as_json() for step in plan.steps],
                    "findings": [each.as_json() for each in plan.findings],
                    "blocked": reasons,
                    "published": published,
                    "refused": [each.as_json() for each in refused],
                    "conflicts": conflicts,
                    "skipped": skipped,
                }
            )
        if refused or skipped:
            raise SystemExit(1)
        if conflicts:
            raise SystemExit(CONFLICT)


@click.command("export", cls=Command, example="templates export templates.json")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def export(*, file: Path, json_: bool) -> None:
    """Write all templates of the service into one file."""
    from worker.authoring import service
    from worker.authoring.bundle_file import write_file

    with open_producer() as producer:
        remotes = list(service.contents(producer))
    definitions = [each.definition for each in remotes if each.definition is not None]
    write_file(file, definitions)
    without = [each.template_id for each in remotes if each.definition is None]
    if json_:
        print_json({"file": str(file), "templates": len(definitions), "without_version": without})
        return
    for name in without:
        print(f"skipped {name}: it has no version yet")
    print(f"{counted(len(definitions), 'template')} in {file}")


@click.command("import", cls=Command, example="templates import templates.json --dry-run")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@overwrite_option
@_breaking_option
@_drop_option
@_atomic_option
@dry_run_option
@json_option
def import_(  # noqa: PLR0913 - options of a command
    *,
    file: Path,
    overwrite: bool,
    breaking: bool,
    drop_translations: bool,
    atomic: bool,
    dry_run: bool,
    json_: bool,
) -> None:
    """Publish the templates of a file that differ from the service's. Exits as `push` does."""
    from worker.authoring.bundle_file import read_file
    from worker.authoring.push import Permissions
    from worker.authoring.settings import author_settings

    allowed = Permissions(
        overwrite=overwrite, breaking=breaking, dropped=drop_translations, atomic=atomic
    )
    folder = read_file(file, author_settings()[0])
    sync = Publication(file, allowed, json_=json_, prefix=prefix_of(file.parent))
    sync.run(folder, (), dry_run=dry_run)


def _line(step: Step) -> str:
    version = f" (version {step.version})" if step.version is not None else ""
    line = f"{_MARKS[step.action]} {step.action:<9} {step.template_id}{version}"
    if step.parts and step.is_write:
        line += f": {', '.join(step.parts)}"
    if step.reason:
        line += f": {step.reason}"
    lines = [line]
    for name, languages in (("become stale", step.stale), ("are dropped", step.dropped)):
        if languages:
            lines.append(f"    translations that {name}: {', '.join(languages)}")
    lines += [f"    breaking: {each['path']}: {each['message']}" for each in step.breaking]
    if step.users:
        lines.append(f"    used by: {', '.join(step.users)}")
    return "\n".join(lines)


def _summary(plan: Plan) -> str:
    from worker.authoring.plan import counts

    shown = ", ".join(f"{count} {name}" for name, count in counts(plan.steps).items() if count)
    return f"{counted(len(plan.steps), 'template')}: {shown or 'nothing to do'}"


def _pulled(step: PullStep) -> dict[str, Any]:
    return {
        "template_id": step.template_id,
        "action": str(step.action),
        "version": step.version,
        "files": step.files,
        "reason": step.reason or None,
    }
