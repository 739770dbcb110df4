"""docs/monitoring.md is true, and its rules, dashboard and scaler ask for metrics that exist."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # only the tests use it
from prometheus_client.core import Metric

from tests.support.documents import blocks, examples
from tests.support.tasks import Tasks
from worker.local import LocalStack
from worker.metrics import exposition, prometheus_counts
from worker.settings import from_environment

TIMEOUT = 60
PREFIX = "template_service_"
PLACE = "http://127.0.0.1:9808/"
_NAME = re.compile(rf"\b{PREFIX}\w+")
_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "info": ("_info",)}


@pytest.fixture(scope="module")
def families(servers: LocalStack, tasks: Tasks) -> dict[str, Metric]:
    """Return every metric of this service that a worker serves, by its name without suffixes."""
    tasks.call("maintenance.report")
    settings = from_environment(servers.addresses())
    registry = exposition.registry(settings, lambda: exposition.Pool(2, 1, 3))
    found = {family.name: family for family in registry.collect()}
    return {name: family for name, family in found.items() if name.startswith(PREFIX)}


@pytest.fixture(scope="module")
def samples(families: dict[str, Metric]) -> set[str]:
    """Return the names that a query can ask for."""
    return {
        name + suffix
        for name, family in families.items()
        for suffix in _SUFFIXES.get(family.type, ("",))
    }


def test_the_blocks_of_the_monitoring_document_work(
    stack: LocalStack, checkout: Path, tmp_path: Path
) -> None:
    """Against a worker of the stack; the answer is what stands below."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    document = [
        block
        for block in blocks(checkout / "docs" / "monitoring.md")
        if block.role in {"run", "output"}
    ]
    runs = [each for each in examples(document) if each.block.role == "run"]
    assert len(runs) == 5
    address = stack.metrics_urls["worker"].removesuffix("metrics")
    other = stack.metrics_urls["worker2"].removesuffix("metrics")
    for example in runs:
        block, (shown,) = example.block, example.shown
        text = block.text.replace(PLACE, address)
        command = [sys.executable, "-c"] if block.language == "python" else ["/bin/sh", "-ec"]
        done = _run([*command, text], stack, tmp_path)
        if done.returncode and "queue_wait" in text:  # the other worker got the message
            done = _run([*command, text.replace(address, other)], stack, tmp_path)
        assert done.returncode == 0, f"{block.place}: {done.stderr}"
        pattern = re.escape(shown.text).replace("…", ".*")
        assert re.fullmatch(pattern, done.stdout), f"{shown.place}: it was\n{done.stdout}"


def test_every_metric_is_documented_and_exists(families: dict[str, Metric], checkout: Path) -> None:
    """Each has a row with its labels, and each row is a metric."""
    text = (checkout / "docs" / "monitoring.md").read_text()
    _, _, section = text.partition("## What each metric means")
    table, _, _ = section.partition("**Queues without a consumer.**")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*)\|", table, re.MULTILINE))
    named = {
        name.removeprefix(PREFIX)
        + {"counter": "_total", "info": "_info"}.get(family.type, ""): family
        for name, family in families.items()
    }
    assert set(rows) == set(named)
    for name, family in named.items():
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert labels <= set(re.findall(r"`(\w+)`", rows[name])), name


def test_the_alerts_ask_for_metrics_that_exist(samples: set[str], checkout: Path) -> None:
    """Each rule has an expression, a severity and what to do."""
    rules = yaml.safe_load((checkout / "deploy" / "prometheus" / "alerts.yml").read_text())
    (group,) = rules["groups"]
    assert len(group["rules"]) > 15
    for rule in group["rules"]:
        named = set(_NAME.findall(rule["expr"]))
        assert named <= samples, rule["alert"]
        assert named or "up{" in rule["expr"], rule["alert"]
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert set(rule["annotations"]) == {"summary", "description"}


def test_each_panel_of_the_dashboard_asks_for_metrics_that_exist(
    samples: set[str], checkout: Path
) -> None:
    """And each metric of the messages and the broker is on some panel."""
    queries = list(_queries(checkout))
    for title, query in queries:
        named = set(_NAME.findall(query))
        assert named <= samples, title
        assert named or "process_resident_memory_bytes" in query, title
    shown = {name for _, query in queries for name in _NAME.findall(query)}
    counted = {family.name for family in prometheus_counts.families()}
    assert [name for name in counted if not any(each.startswith(name) for each in shown)] == []


def test_the_scaler_asks_for_metrics_that_exist(samples: set[str], checkout: Path) -> None:
    """Ready and reserved messages, of queues that there are."""
    scaler = yaml.safe_load((checkout / "deploy" / "kubernetes" / "keda.yaml").read_text())
    (trigger,) = scaler["spec"]["triggers"]
    query = trigger["metadata"]["query"]
    assert set(_NAME.findall(query)) == {f"{PREFIX}queue_ready", f"{PREFIX}queue_reserved"}
    assert set(_NAME.findall(query)) <= samples


def test_a_sum_does_not_depend_on_what_rabbitmq_does_not_report(checkout: Path) -> None:
    """The sum with a metric that has no sample has none: no scaler and no panel would see it."""
    scaler = yaml.safe_load((checkout / "deploy" / "kubernetes" / "keda.yaml").read_text())
    (trigger,) = scaler["spec"]["triggers"]
    sums = [each for _, each in _queries(checkout) if "_reserved" in each and "+" in each]
    for query in [trigger["metadata"]["query"], *sums]:
        assert re.search(r"\(sum\(max by \(queue\) \(\w+_reserved\S*\)\) or vector\(0\)\)", query)


def test_promtool_accepts_rules_configuration_and_queries(checkout: Path, tmp_path: Path) -> None:
    """The queries of the dashboard as rules, since it has no check of its own for them."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool of Debian's package prometheus is not installed")
    queries = tmp_path / "queries.yml"
    rules = [
        {"record": f"panel:{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, (_, query) in enumerate(_queries(checkout))
    ]
    queries.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    folder = checkout / "deploy" / "prometheus"
    for kind, file in (
        ("rules", folder / "alerts.yml"),
        ("rules", queries),
        ("config", folder / "prometheus.yml"),
    ):
        done = subprocess.run(
            [promtool, "check", kind, file], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def _queries(checkout: Path) -> Iterator[tuple[str, str]]:
    file = checkout / "deploy" / "grafana" / "dashboard.json"
    dashboard: dict[str, Any] = json.loads(file.read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def _run(
    command: list[str], stack: LocalStack, directory: Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=directory,
        env=stack.environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
