"""The image: built by podman, run as docker-compose.yml does, and watched by its health check."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from db.cluster.processes import wait_until
from tests.factories import templates
from tests.support import compose
from tests.support.containers import RUN, Podman
from tests.support.producer import Producer
from worker.local import LocalStack

IMAGE = "localhost/template-service"
TIMEOUT = 60


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Iterator[Podman]:
    """Give podman with the image of the checkout."""
    podman = Podman(tmp_path_factory.mktemp("podman"))
    try:
        podman.import_base()
        podman.build(checkout, IMAGE)
        yield podman
    finally:
        podman.clear()


@pytest.fixture
def service(checkout: Path) -> dict[str, Any]:
    """Return the worker of docker-compose.yml."""
    service: dict[str, Any] = compose.load(checkout)["services"]["worker"]
    return service


def options_of(
    service: dict[str, Any], servers: LocalStack, secrets: Path
) -> tuple[list[str], list[str]]:
    """Return the options of ``podman run`` for a service of the compose file, and its command.

    With the servers of this machine, whose passwords come from files as they do there.
    """
    secrets.mkdir()
    variables = dict(service["environment"])
    for name, url in servers.addresses().items():
        scheme, _, rest = url.partition("://")
        user, _, host = rest.rpartition("@")
        user, _, password = user.partition(":")
        (secrets / name).write_text(password)
        variables |= {
            name: f"{scheme}://{user}@{host}",
            f"{name}_PASSWORD_FILE": f"/run/secrets/{name}",
        }
    secrets.chmod(0o755)
    options = [*RUN, "-v", f"{secrets}:/run/secrets:ro", "--cap-drop=all", "--read-only"]
    options += ["--security-opt=no-new-privileges", "--tmpfs=/tmp"]
    options += [f"--env={name}={value}" for name, value in variables.items()]
    kind, test = service["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    # podman starts no timers without systemd: the check is run by hand.
    options += [f"--health-cmd={test.replace('$$', '$')}", "--health-interval=disable"]
    return options, service["command"]


def test_the_worker_of_the_image_is_healthy_and_renders(
    podman: Podman, service: dict[str, Any], servers: LocalStack, tmp_path: Path
) -> None:
    """As a user that is not root, with a read-only file system and passwords from files."""
    options, command = options_of(service, servers, tmp_path / "secrets")
    name = f"worker-{uuid.uuid4().hex[:8]}"
    podman.run("run", "--detach", f"--name={name}", *options, IMAGE, *command)
    try:
        is_healthy = wait_until(
            lambda: podman.run("healthcheck", "run", name, check=False).returncode == 0, TIMEOUT
        )
        assert is_healthy, podman.run("logs", name).stderr[-3000:]
        assert podman.run("exec", name, "id", "-u").stdout.strip() == "10001"
        assert podman.run("exec", name, "touch", "/app/x", check=False).returncode != 0
        with Producer.of(servers) as producer:
            template = templates.published(producer, "Dear {{ name }}", type="sms")
            message = {"template_id": template, "variables": {"name": "Ada"}}
            assert producer.call("render.one", message)["body"] == "Dear Ada"
        assert "(head)" in podman.run("exec", name, "alembic", "heads").stdout
        podman.run("stop", "--time=45", name)
        assert podman.run("wait", name).stdout.strip() == "0"
    finally:
        podman.run("rm", "--force", name, check=False)


def test_a_container_whose_worker_does_nothing_is_unhealthy(
    podman: Podman, service: dict[str, Any], servers: LocalStack, tmp_path: Path
) -> None:
    """Its heartbeat file is missing."""
    options, _ = options_of(service, servers, tmp_path / "secrets")
    name = f"idle-{uuid.uuid4().hex[:8]}"
    podman.run("run", "--detach", f"--name={name}", *options, IMAGE, "sleep", "600")
    assert podman.run("healthcheck", "run", name, check=False).returncode == 1
    podman.run("rm", "--force", "--time=0", name)
