"""Three nodes of RabbitMQ with quorum queues: each may be killed, and nothing stops or is lost."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from db.cluster.processes import wait_until
from tests.brokers.conftest import TIMEOUT, VIRTUAL_HOSTS, Broker
from tests.brokers.load import grows, load
from tests.brokers.servers import RABBITMQ, RabbitMQ, program
from tests.support.documents import blocks
from worker.local import LocalStack

HOST = "clustered"


class Cluster(Broker):
    """A virtual host of three nodes, with all their addresses."""

    def __init__(self, nodes: list[RabbitMQ], servers: LocalStack) -> None:
        super().__init__(nodes[0], servers, HOST, VIRTUAL_HOSTS["quorum"])
        self.nodes = nodes
        self.url = ";".join(node.url_of(HOST) for node in nodes)


@pytest.fixture
def cluster(servers: LocalStack, tmp_path: Path, checkout: Path) -> Iterator[Cluster]:
    """Give a cluster as docs/deployment.md configures it; the others join the first node."""
    (block,) = (
        each for each in blocks(checkout / "docs" / "deployment.md") if each.role == "rabbitmq"
    )
    with ExitStack() as stack:
        seed = stack.enter_context(RabbitMQ(tmp_path / "one", [HOST]))
        nodes = [seed]
        joining = block.text.replace("rabbit@one", seed.node_name)
        joining = re.sub(r"rabbit@(\w+)", r"\1@localhost", joining)
        for name in ("two", "three"):
            node = RabbitMQ(tmp_path / name, [], seed=seed, joining=joining)
            nodes.append(stack.enter_context(node))
            # A node that is alone would wait for the others before it ends.
            stack.callback(node.kill)
        cluster = Cluster(nodes, servers)
        stack.callback(cluster.producer.close)
        yield cluster


def test_work_goes_on_while_any_node_of_the_cluster_is_down(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Each in its turn, under load; every message is answered, and every write is done once."""
    settings = {"TEMPLATE_SERVICE_DELIVERY_LIMIT": "1000"}
    with cluster.working(tmp_path, **settings) as worker, load(cluster.producer) as sent:
        for node in cluster.nodes:
            assert wait_until(lambda: _is_dispensable(node), TIMEOUT)  # noqa: B023 - called at once
            node.kill()
            answered = _answered(cluster)
            assert grows(sent.reads)
            assert wait_until(lambda: _answered(cluster) >= answered + 20, TIMEOUT)  # noqa: B023 - the same
            node.start()
        assert worker.running


def _answered(cluster: Cluster) -> int:
    """Return how many answers the result backend has."""
    return int(cluster.producer.backend.dbsize())


def _is_dispensable(node: RabbitMQ) -> bool:
    """Tell whether every quorum queue has a majority without this node."""
    done = subprocess.run(
        [
            Path(program(RABBITMQ)).with_name("rabbitmq-diagnostics"),
            "check_if_node_is_quorum_critical",
        ],
        env={**node.control, "PATH": os.defpath, "LANG": "C.UTF-8"},
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )
    return done.returncode == 0
