"""docs/authoring.md is true: a team that follows it from top to bottom gets what it says."""

import json
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final
from urllib.request import urlopen

import pytest
import yaml  # type: ignore[import-untyped]  # PyYAML ships no types

from tests.support.documents import Block, blocks, examples
from tests.support.forked_commands import forked_commands
from tests.support.stacks import small_stack
from worker.local import LocalStack

TIMEOUT: Final = 120


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """Return servers and a worker whose templates are those of the document alone."""
    with small_stack(tmp_path_factory.mktemp("authoring"), workers=1) as stack:
        yield stack


@pytest.fixture(scope="module")
def real(own_stack: LocalStack) -> dict[str, str]:
    """Return the environment of an author, who has no access to the database."""
    environment = own_stack.environment()
    del environment["DATABASE_URL"]
    return environment


@pytest.fixture(scope="module")
def environment(real: dict[str, str]) -> Iterator[dict[str, str]]:
    """Yield the same, in which commands start quickly."""
    with forked_commands(real) as environment:
        yield environment


def run(
    command: str, folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command of the shell."""
    return subprocess.run(
        ["/bin/sh", "-euc", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def test_every_block_of_the_authoring_document_works(
    environment: dict[str, str], real: dict[str, str], checkout: Path, tmp_path: Path
) -> None:
    """Each command prints what stands below it, and each example of a file does its work."""
    document = list(blocks(checkout / "docs" / "authoring.md"))
    others = {each.role: each for each in document if each.role in {"preview", "pre-commit", "ci"}}
    ran = 0
    for example in examples(each for each in document if each.role not in others):
        done = run(example.block.text, tmp_path, environment)
        (shown,) = example.shown
        output = done.stdout
        assert done.returncode == 0, f"{example.block.place}: {output}{done.stderr}"
        pattern = re.escape(shown.text).replace("…", ".*")
        assert re.fullmatch(pattern, output, re.DOTALL), f"{shown.place}: it was\n{output}"
        ran += 1
    assert ran > 12
    _check_preview(others["preview"], tmp_path, real)
    _check_hook(others["pre-commit"], tmp_path, environment)
    _check_workflow(others["ci"], tmp_path, environment)


def _check_preview(block: Block, folder: Path, environment: dict[str, str]) -> None:
    """Run the preview, look at its list, and end it."""
    command = [*shlex.split(block.text), "--port", "0", "--json"]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        printed = "".join(iter(process.stdout.readline, "}\n")) + "}"
        with urlopen(f"{json.loads(printed)['url']}api/templates") as answer:  # noqa: S310 - http
            listed = json.loads(answer.read())
        assert [each["template_id"] for each in listed["templates"]] == ["footer", "welcome"]
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT) == 0


def _check_hook(block: Block, folder: Path, environment: dict[str, str]) -> None:
    """Run the hook as git would: it lets good templates pass, and no others."""
    (hook,) = yaml.safe_load(block.text)["repos"][0]["hooks"]
    repository = folder / "repository"
    copied(folder / "templates", repository / "templates")
    offline = {name: value for name, value in environment.items() if "CELERY" not in name}
    author = "git config user.name a && git config user.email a@example.org"
    assert run(f"git init -q . && {author}", repository, offline).returncode == 0
    script = repository / ".git" / "hooks" / "pre-commit"
    script.write_text(f"#!/bin/sh\nexec {hook['entry']}\n")
    script.chmod(0o755)
    commit = "git add . && git commit -qm templates"
    done = run(commit, repository, offline)
    assert done.returncode == 0, done.stdout + done.stderr
    (repository / "templates" / "welcome" / "body.html").write_text("{{ name")
    done = run(commit, repository, offline)
    assert done.returncode != 0
    assert "templates/welcome/body.html:1:" in done.stdout + done.stderr
    assert re.match(hook["files"], "templates/welcome/body.html")


def _check_workflow(block: Block, folder: Path, environment: dict[str, str]) -> None:
    """Run the steps of the CI example in a fresh checkout."""
    job = yaml.safe_load(block.text)["jobs"]["templates"]
    assert set(job["env"]) == {"CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"}
    fresh = folder / "fresh"
    copied(folder / "templates", fresh / "templates")
    steps = [step["run"] for step in job["steps"] if "run" in step]
    assert len(steps) == 3
    for step in steps:
        done = run(step, fresh, environment)
        assert done.returncode == 0, f"{step}: {done.stdout}{done.stderr}"
    drift = run("template-service templates push --dry-run --exit-code", fresh, environment)
    assert drift.returncode == 0
    header = fresh / "templates" / "footer" / "template.toml"
    header.write_text(header.read_text().replace("Footer of mails", "Footer"))
    drift = run("template-service templates push --dry-run --exit-code", fresh, environment)
    assert drift.returncode == 4
    (fresh / "templates" / "footer" / "body.html").write_text("<p>{{ cit }}</p>")
    done = run(steps[0], fresh, environment)
    assert done.returncode == 1
    assert "::error file=templates/footer/body.html,line=1,col=7,title=undeclared::" in done.stdout


def copied(source: Path, target: Path) -> None:
    """Copy a folder without what a checkout does not have."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(".template-service"))


def test_of_two_who_push_at_once_one_is_told(tmp_path: Path, environment: dict[str, str]) -> None:
    """Each has the same version before; the loser's text is published by nobody."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    new = "template-service templates new twice --type in_app && template-service templates push"
    assert run(new, ours, environment).returncode == 0
    shutil.copytree(ours, theirs)
    for folder in (ours, theirs):
        body = folder / "templates" / "twice" / "body.html"
        body.write_text(f"<p>{folder.name} {{{{ name }}}}</p>")
    with ThreadPoolExecutor(2) as pool:
        push = "template-service templates push"
        pushes = list(pool.map(lambda each: run(push, each, environment), (ours, theirs)))
    assert sorted(each.returncode for each in pushes) == [0, 3], pushes
    winner = (ours, theirs)[pushes[0].returncode != 0]
    loser = next(each for each in pushes if each.returncode == 3)
    assert re.search(r"expected '1', current is '2'|'2' is current, and version '1'", loser.stdout)
    render = """template-service templates render twice --values '{"name": "Ada"}'"""
    assert run(render, tmp_path, environment).stdout == f"<p>{winner.name} Ada</p>\n"
    # The document lists the templates that there are.
    delete = "template-service templates delete twice --yes"
    assert run(delete, tmp_path, environment).returncode == 0


def test_a_broker_that_is_away_is_a_sentence(tmp_path: Path, real: dict[str, str]) -> None:
    """And nothing was published; no password is shown."""
    run("template-service templates new a", tmp_path, real)
    away = "redis://:secret@127.0.0.1:1/0"
    elsewhere = real | {"CELERY_BROKER_URL": away}
    done = run("template-service templates push", tmp_path, elsewhere)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: the broker at redis://127.0.0.1:1/0 does not answer")
    assert "secret" not in done.stderr
