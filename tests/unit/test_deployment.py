"""The files of deploy/: Kubernetes, systemd and the start with Docker Compose."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import kubernetes_validate  # type: ignore[import-untyped]  # it ships no types
import pytest
import yaml  # type: ignore[import-untyped]  # the same

from tests.support import compose
from tests.support.documents import blocks
from worker.queues import CONSUMED
from worker.settings import VARIABLES

KUBERNETES: Final = "1.34"
CELERY_AND_IMAGE: Final = {"REMAP_SIGTERM"}
NOT_OF_KUBERNETES: Final = {"kustomization.yaml", "keda.yaml"}
"""kubectl kustomize and test_monitoring_document.py check these."""


@pytest.fixture(scope="module")
def manifests(checkout: Path) -> list[dict[str, Any]]:
    """Return every object that kustomize applies."""
    folder = checkout / "deploy" / "kubernetes"
    files = sorted(set(folder.glob("*.yaml")) - {folder / name for name in NOT_OF_KUBERNETES})
    resources = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    assert {file.name for file in files} == set(resources)
    return [each for file in files for each in yaml.safe_load_all(file.read_text())]


def test_the_manifests_are_valid(manifests: list[dict[str, Any]]) -> None:
    """By the schemas of Kubernetes, without a member that they do not know."""
    assert len(manifests) > 8
    for manifest in manifests:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_kustomize_builds_the_manifests(checkout: Path) -> None:
    """With the names and the image of the kustomization."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    built = subprocess.run(
        ["kubectl", "kustomize", checkout / "deploy" / "kubernetes"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for manifest in yaml.safe_load_all(built):
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    assert "image: template-service\n" not in built


def test_pods_have_probes_limits_and_no_rights(manifests: list[dict[str, Any]]) -> None:
    """And every setting that they are given exists; each queue has one kind of worker."""
    queues: list[str] = []
    for manifest in manifests:
        if manifest["kind"] not in {"Deployment", "Job"}:
            continue
        pod = manifest["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        (container,) = pod["containers"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert {"requests", "limits"} == container["resources"].keys()
        names = {variable["name"] for variable in container.get("env", ())}
        assert names <= set(VARIABLES), manifest["metadata"]["name"]
        if manifest["kind"] == "Deployment":
            assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
            assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
            assert pod["terminationGracePeriodSeconds"] >= 45
        if "-Q" in container["args"]:
            queues += container["args"][container["args"].index("-Q") + 1].split(",")
    assert sorted(queues) == sorted(CONSUMED)


def test_the_kustomization_sets_only_settings_that_exist(checkout: Path) -> None:
    """A misspelt variable would be ignored."""
    file = checkout / "deploy" / "kubernetes" / "kustomization.yaml"
    (generated,) = yaml.safe_load(file.read_text())["configMapGenerator"]
    names = {literal.partition("=")[0] for literal in generated["literals"]}
    assert names <= set(VARIABLES) | CELERY_AND_IMAGE


def test_a_disruption_budget_is_of_a_deployment(manifests: list[dict[str, Any]]) -> None:
    """Its labels are those of pods."""
    labels = [
        each["spec"]["template"]["metadata"]["labels"]
        for each in manifests
        if each["kind"] == "Deployment"
    ]
    budgets = [each for each in manifests if each["kind"] == "PodDisruptionBudget"]
    assert len(budgets) > 2
    assert [each for each in budgets if each["spec"]["selector"]["matchLabels"] not in labels] == []


@pytest.mark.parametrize(
    "unit", ["template-service-worker@.service", "template-service-beat.service"]
)
def test_systemd_accepts_the_units(checkout: Path, tmp_path: Path, unit: str) -> None:
    """With the checkout instead of /opt/template-service."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    text = (checkout / "deploy" / "systemd" / unit).read_text()
    program = re.search(r"^ExecStart=(\S+)", text, re.MULTILINE)
    assert program is not None
    text = text.replace(program[1], "/bin/true").replace("/opt/template-service", str(tmp_path))
    name = unit.replace("@.", "@render.")
    (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / name],
        capture_output=True,
        text=True,
        check=False,
    )
    if "Failed to setup working directory" in done.stderr:
        pytest.skip("without a running systemd only root can use systemd-analyze")
    about_it = [line for line in done.stderr.splitlines() if name in line]
    assert (done.returncode, about_it) == (0, [])


def test_the_document_names_each_file_that_a_unit_needs(checkout: Path) -> None:
    """Without one of them a unit does not start."""
    document = (checkout / "docs" / "deployment.md").read_text()
    for unit in (checkout / "deploy" / "systemd").iterdir():
        files = re.findall(r"^EnvironmentFile=(/\S+)", unit.read_text(), re.MULTILINE)
        assert files
        for file in files:
            assert f"`{file.replace('%i', 'render')}`" in document, unit.name


def test_the_start_with_compose_creates_missing_secrets_only(
    checkout: Path, tmp_path: Path
) -> None:
    """All that docker-compose.yml wants; a second start keeps them."""
    (block,) = (
        each for each in blocks(checkout / "docs" / "deployment.md") if each.role == "compose"
    )
    (tmp_path / "deploy").mkdir()
    shutil.copy(checkout / "deploy" / "compose-up", tmp_path / "deploy")
    first = _passwords(block.text, tmp_path)
    names = {Path(secret["file"]).name for secret in compose.load(checkout)["secrets"].values()}
    assert first.keys() == names
    assert len(set(first.values())) == len(first)
    (tmp_path / "secrets" / "app_password").unlink()
    second = _passwords(block.text, tmp_path)
    assert {name for name in names if first[name] != second[name]} == {"app_password"}
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700


def test_every_container_has_limits_and_rotates_its_log(checkout: Path) -> None:
    """No log and no process fills the machine."""
    for name, service in compose.load(checkout)["services"].items():
        assert service["mem_limit"], name
        assert service["logging"]["options"] == {"max-size": "20m", "max-file": "5"}, name


def _passwords(command: str, folder: Path) -> dict[str, str]:
    done = subprocess.run(
        ["/bin/sh", "-euc", command],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "COMPOSE": "echo"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "up --build --detach\n"
    return {file.name: file.read_text() for file in (folder / "secrets").iterdir()}
