"""The documents are true: their examples run against the real stack, and nothing is left out."""

import json
import re
import subprocess
import sys
import uuid
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any

from tasks.base import ServiceTask
from tasks.errors import Code
from tasks.rendering.engine import Engine
from tasks.rendering.limits import Limits
from tasks.rendering.locale_filters import FILTERS
from tests.support import compose
from tests.support.contract import errors_of, errors_of_result
from tests.support.documents import Block, Example, blocks, examples, refusal_text, renamed
from tests.support.forked_commands import forked_commands
from tests.support.producer import Producer
from tests.support.tasks import Tasks
from worker.cli import COMMANDS
from worker.local import LocalStack
from worker.queues import QueueName
from worker.settings import VARIABLES

# Eight commands, each a start of Python, on a machine that is several times slower.
TIMEOUT = 180
NAMES = ("welcome_email", "order_shipped", "shop_layout", "shop_receipt")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{6})?Z")


def test_the_examples_of_the_messages_document_work(
    stack: LocalStack, producer: Producer, checkout: Path, tmp_path: Path
) -> None:
    """Every message of docs/messages.md gets the answer that stands below it."""
    names = {name: f"{name}-{uuid.uuid4().hex[:8]}" for name in NAMES}
    # The blocks of RabbitMQ are run by tests/brokers.
    document = [
        renamed(block, names)
        for block in blocks(checkout / "docs" / "messages.md")
        if block.role != "rabbitmq"
    ]
    ran = 0
    for example in examples(document):
        if example.block.language == "python":
            _check_output(_run_python(example.block, stack, tmp_path), example)
        else:
            _check_answers(example, producer)
        ran += 1
    assert ran > 40


def test_the_examples_of_the_templates_document_work(producer: Producer, checkout: Path) -> None:
    """Every source of docs/templates.md gives what stands below it."""
    document = list(blocks(checkout / "docs" / "templates.md"))
    published = [block.role.split() for block in document if block.role.startswith("publish ")]
    types = {template_id: kind for _, kind, template_id in published}
    names = {name: f"{name}-{uuid.uuid4().hex[:8]}" for name in types}
    for name, kind in types.items():
        new = {"template_id": names[name], "name": name, "type": kind}
        producer.call("template.create", new)
    ran = 0
    for example in examples(renamed(block, names) for block in document):
        _check_answers(example, producer)
        ran += 1
    assert ran > 60


def test_the_examples_of_the_readme_work(stack: LocalStack, checkout: Path, tmp_path: Path) -> None:
    """What the README shows to run beside a running stack does what it says."""
    names = {name: f"{name}-{uuid.uuid4().hex[:8]}" for name in ("greeting", "letter")}
    document = [renamed(block, names) for block in blocks(checkout / "README.md") if block.role]
    runs = [example for example in examples(document) if example.block.role == "run"]
    assert [example.block.language for example in runs] == ["sh", "python", "sh"]
    start, python, shell = runs
    with forked_commands({"PATH": ""}) as forks:
        quick = f'export PATH={forks["PATH"]}"$PATH"\n'
        text = f"{quick}{start.block.text}"
        _check_output(_run_shell(replace(start.block, text=text), stack, tmp_path), start)
        _check_output(_run_python(python.block, stack, tmp_path), python)
        text = shell.block.text.replace(". .local/env\n", f". {stack.environment_file}\n{quick}")
        _check_output(_run_shell(replace(shell.block, text=text), stack, checkout), shell)


def test_the_readme_creates_the_secrets_of_the_compose_file(
    stack: LocalStack, checkout: Path, tmp_path: Path
) -> None:
    """They are the ones that docker-compose.yml wants, each a password of its own."""
    (block,) = (block for block in blocks(checkout / "README.md") if block.role == "elsewhere")
    _run_shell(block, stack, tmp_path)
    files = [tmp_path / secret["file"] for secret in compose.load(checkout)["secrets"].values()]
    assert len({file.read_text() for file in files}) == len(files)
    assert {file.stat().st_mode & 0o777 for file in files} == {0o644}
    assert files[0].parent.stat().st_mode & 0o777 == 0o700


def test_every_command_of_the_readme_exists(checkout: Path) -> None:
    """The ``make`` targets and the commands of ``template-service`` that it names are there."""
    code = "\n".join(
        [block.text for block in blocks(checkout / "README.md")]
        + re.findall(r"`([^`\n]+)`", (checkout / "README.md").read_text())
    )
    targets = re.findall(r"^([a-z0-9-]+):", (checkout / "Makefile").read_text(), re.MULTILINE)
    named = set(re.findall(r"^make ([a-z0-9-]+)", code, re.MULTILINE))
    assert {"demo", "test"} <= named <= set(targets)
    named = set(re.findall(r"^(?:\S+/)?template-service ([a-z]+)", code, re.MULTILINE))
    assert {"up", "status", "down"} <= named <= set(COMMANDS)


def test_every_path_of_the_readme_exists(checkout: Path) -> None:
    """What is said to be where is there."""
    (tree,) = (block for block in blocks(checkout / "README.md") if block.role == "tree")
    paths = [line.split()[0] for line in tree.text.splitlines()]
    assert [path for path in paths if not (checkout / path).exists()] == []


def test_every_task_keyword_and_field_is_documented(tasks: Tasks, checkout: Path) -> None:
    """Each task has a section that names its keywords, and the document shows its results."""
    text = (checkout / "docs" / "messages.md").read_text()
    sections = dict(
        re.findall(r"^### `([a-z_.]+)`\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    )
    served = {name: task for name, task in tasks.app.tasks.items() if isinstance(task, ServiceTask)}
    assert set(sections) == set(served)
    for name, task in served.items():
        keywords = set(task.message.model_fields)
        if not name.startswith("maintenance."):  # one paragraph above them names theirs
            assert keywords <= set(re.findall(r"`(\w+)`", sections[name])), name


def test_every_code_queue_and_limit_is_documented(checkout: Path) -> None:
    """The tables have a row for each, and say the defaults that the code has."""
    text = (checkout / "docs" / "messages.md").read_text()
    rows = r"^\| `(\w+)` \| .* \| (?:no|yes|if [^|]+) \|"
    assert re.findall(rows, text, re.MULTILINE) == list(Code)
    assert re.findall(r"^\| `(\w+)` \| .* \| yes \|", text, re.MULTILINE) == [Code.UNAVAILABLE]
    assert [name for name in QueueName if f"| `{name}` |" not in text] == []

    shown = re.findall(r"\| ([\d,]+) \| `(\w+_LIMIT_\w+)` \|", text)
    assert {name: float(value.replace(",", "")) for value, name in shown} == {
        variable.name: variable.default
        for variable in VARIABLES.values()
        if variable.path[0] == "limits"
    }


def test_the_limits_of_both_documents_are_the_same(checkout: Path) -> None:
    """The limits that docs/templates.md repeats are those of docs/messages.md, row for row."""
    rows = re.compile(r"^\| .* \| [\d,]+ \| `\w+_LIMIT_\w+` \|$", re.MULTILINE)
    repeated = rows.findall((checkout / "docs" / "templates.md").read_text())
    assert len(repeated) > 5
    assert set(repeated) <= set(rows.findall((checkout / "docs" / "messages.md").read_text()))


def test_every_filter_and_test_of_the_templates_exists(checkout: Path) -> None:
    """What docs/templates.md says is there or not, is; and every locale filter has a row."""
    text = (checkout / "docs" / "templates.md").read_text()
    rows = re.findall(r"^\| `(\w+)\([^)]*\)` \|", text, re.MULTILINE)
    assert sorted(rows) == sorted(FILTERS)

    _, filters, tests, absent = re.split(
        "^These filters are there:$|^And these tests after `is`:|^Not there, on purpose:$",
        text.partition("## No blanks")[0],
        flags=re.MULTILINE,
    )
    named = re.findall(r"`(\w+)`", re.sub(r"^(\|[^|]*\|).*$", r"\1", filters, flags=re.MULTILINE))
    assert set(FILTERS) < set(named)
    assert _unknown("{{{{ 1 | {} }}}}", named) == []
    assert _unknown("{{{{ 1 is {} }}}}", re.findall(r"`(\w+)`", tests)) == []
    refused = re.findall(r"\| the filter `(\w+)`", absent)
    assert refused
    assert _unknown("{{{{ 1 | {} }}}}", refused) == refused


def test_all_links_in_documents_lead_to_files_and_headings(checkout: Path) -> None:
    """Relative links of all documents name files, and anchors name headings."""
    for file in [checkout / "README.md", *sorted((checkout / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\(([^)\s]+)\)", file.read_text()):
            if "://" in target:
                continue
            path, _, anchor = target.partition("#")
            linked_file = (file.parent / path) if path else file
            assert linked_file.exists(), f"{file.name}: {target}"
            if anchor:
                assert anchor in _anchors(linked_file), f"{file.name}: {target}"


def _unknown(use: str, names: list[str]) -> list[str]:
    """Return those of ``names`` that are neither filter nor test, whichever ``use`` makes them."""
    engine = Engine(Limits())
    return [
        name
        for name in names
        for problem in engine.inspect(use.format(name), "body", html=True, needs={})[1]
        if problem["type"].startswith("unknown_")
    ]


def _check_answers(example: Example, producer: Producer) -> None:
    """Send what an example sends, and compare with what it shows."""
    answers = [
        producer.stored(
            producer.send(task, keywords, queue="render-bulk" if task == "render.batch" else None),
            TIMEOUT,
        )
        for task, keywords in example.messages()
    ]
    for (task, _), answer in zip(example.messages(), answers, strict=True):
        schema_errors = (
            errors_of_result(task, answer["result"])
            if answer["status"] == "SUCCESS"
            else errors_of("Refusal", answer["result"])
        )
        assert schema_errors == [], example.block.place
    is_refused = any(block.role == "refused" for block in example.shown)
    expected = "FAILURE" if is_refused else "SUCCESS"
    for answer in answers:
        assert answer["status"] == expected, f"{example.block.place}: {answer['result']}"
    assert example.shown or example.words[0] in {"publish", "translate"}, (
        f"{example.block.place}: there is no answer"
    )
    for block in example.shown:
        if block.role == "languages":
            languages = example.words[2:]
            lines = [
                f"{language:<6} {answer['result']['body']}"
                for language, answer in zip(languages, answers, strict=True)
            ]
            _compare("\n".join(lines), block)
        else:
            (answer,) = answers
            _check_answer(answer["result"], block)


def _check_answer(answer: dict[str, Any], block: Block) -> None:
    match block.language, block.role:
        case "text", "refused":
            _compare(refusal_text(answer["exc_message"]), block)
        case "text" | "html", "subject" | "body" | "text" | "title":
            _compare(answer[block.role], block)
        case "json", "answer" | "part" | "refused":
            expected = json.loads(block.text)
            if block.role == "part":
                answer = {key: answer[key] for key in expected}
            if block.role == "refused":
                for refusal in (expected, answer):  # the order of the problems is nobody's business
                    refusal["exc_message"][2].sort(key=itemgetter("path"))
            assert _plain(answer) == _plain(expected), block.place
        case language, role:
            raise AssertionError(f"{block.place}: {language} {role}?")


def _compare(output: str, block: Block) -> None:
    # Spaces that do not break and marks of direction are to be seen where they differ.
    assert ascii(output) == ascii(block.text.removesuffix("\n")), block.place


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return ``value`` with ids and times, which differ each time, replaced by their kind."""
    if isinstance(value, dict):
        # A digest depends on the names of partials, which a test changes.
        plain = {key: _plain(item) for key, item in value.items()}
        return plain | ({"digest": "a digest"} if "digest" in plain else {})
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, str) and _UUID.fullmatch(value):
        return "a version's id"
    if isinstance(value, str) and _TIME.fullmatch(value):
        return "a time"
    return value


def _run_python(block: Block, stack: LocalStack, directory: Path) -> str:
    return _run([sys.executable, "-c", block.text], block, stack, directory)


def _run_shell(block: Block, stack: LocalStack, directory: Path) -> str:
    return _run(["/bin/sh", "-euc", block.text], block, stack, directory)


def _run(command: list[str], block: Block, stack: LocalStack, directory: Path) -> str:
    done = subprocess.run(
        command,
        cwd=directory,
        env=stack.environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, f"{block.place}: {done.stderr}"
    return done.stdout


def _check_output(output: str, example: Example) -> None:
    """Compare with the block below: each of its lines, ``…`` standing for anything."""
    assert [block.role for block in example.shown] == ["output"], (
        f"{example.block.place}: its output is not shown"
    )
    (shown,) = example.shown
    pattern = re.escape(shown.text).replace("…", ".*")
    assert re.fullmatch(pattern, output, re.DOTALL), f"{shown.place}: it was\n{output}"


def _anchors(file: Path) -> set[str]:
    """Return the anchors that GitHub makes of headings."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}
