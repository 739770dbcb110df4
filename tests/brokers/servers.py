"""The brokers that Debian packages, as private processes of a test run."""

import base64
import hashlib
import json
import os
import signal
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from kombu import Connection

from db.cluster.processes import Process, write_private
from worker.local.server import HOST, LocalServer, free_port
from worker.local.valkey import LocalValkey

RABBITMQ: Final = "TEST_RABBITMQ_SERVER"
REDIS: Final = "TEST_REDIS_SERVER"
"""Variables that name the programs; `make test-brokers` sets them."""

USER: Final = "service"
NARROW: Final = "narrow"
"""A user who may write to the service's queues and read them, and not create them."""
CONFIGURATION: Final = """\
listeners.tcp.1 = {host}:{port}
load_definitions = {definitions}
log.console = true
log.file = false
disk_free_limit.absolute = 1MB
"""
# Two schedulers that sleep when idle: the processors belong to the tests.
ERLANG: Final = "-noinput +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"


def program(variable: str) -> str:
    """Return the path of a server; without it nothing here can be tested."""
    path = os.environ.get(variable, "")
    if not os.access(path, os.X_OK):
        pytest.exit(
            f"{variable} has to name a program: make test-brokers installs it and sets it",
            returncode=1,
        )
    return path


class DebianRedis(LocalValkey):
    """Redis instead of Valkey."""

    name = "Redis"

    def _build(self, port: int) -> Process:
        process = super()._build(port)
        process.command[0] = program(REDIS)
        return process


class RabbitMQ(LocalServer):
    """One node, with a port mapper of its own.

    Parameters
    ----------
    directory
        For all its files.
    virtual_hosts
        Those that it has, each with queues and policies of its own.
    definitions
        What else it begins with, as ``rabbitmqctl export_definitions`` writes it.
    seed
        A node that runs, whose cluster it joins by what ``joining`` adds to ``rabbitmq.conf``;
        virtual hosts and definitions are the cluster's.
    """

    name = "RabbitMQ"
    stop_signal = signal.SIGTERM
    death_signal = signal.SIGKILL

    def __init__(
        self,
        directory: Path,
        virtual_hosts: Iterable[str],
        definitions: Mapping[str, list[dict[str, Any]]] | None = None,
        *,
        seed: "RabbitMQ | None" = None,
        joining: str = "",
    ) -> None:
        super().__init__(directory, die_with_parent=True)
        self._seed = seed
        self._joining = joining
        self._virtual_hosts = ["/", *virtual_hosts]
        self._definitions = definitions or {}
        self._mapper: Process | None = None

    @property
    def url(self) -> str:
        """Address of the virtual host ``/``."""
        return self.url_of("")

    def url_of(self, virtual_host: str, user: str = USER) -> str:
        """Return the address of a virtual host; all users have the same password."""
        return f"amqp://{user}:{self.password}@{HOST}:{self.port}/{virtual_host}"

    @property
    def password(self) -> str:
        """The password of all users, one in a cluster."""
        return super().password if self._seed is None else self._seed.password

    @property
    def control(self) -> dict[str, str]:
        """The variables by which RabbitMQ's own commands find it."""
        node = {"RABBITMQ_NODENAME": self.node_name}
        if self._seed is not None:
            return self._seed.control | node
        return node | {
            "HOME": str(self.directory),  # of Erlang's cookie
            "ERL_EPMD_PORT": str(self._mapper_port),
        }

    @property
    def node_name(self) -> str:
        """Its name in the cluster."""
        name = "template-service" if self._seed is None else self.directory.name
        return f"{name}@localhost"

    def answers(self) -> bool:
        """Ask whether it serves at :attr:`url`."""
        with Connection(self.url, connect_timeout=2) as connection:
            try:
                connection.connect()
            except (*connection.connection_errors, *connection.channel_errors):
                return False
            return True

    def kill(self) -> None:
        """Kill it, and not its port mapper, which the other nodes of a cluster use."""
        mapper, self._mapper = self._mapper, None
        super().kill()
        self._mapper = mapper

    def stop(self) -> None:
        """Stop it, and its port mapper."""
        super().stop()
        if self._mapper is not None:
            self._mapper.stop()
            self._mapper = None

    def _prepare(self) -> None:
        if self._mapper is None and self._seed is None:
            self._mapper_port = free_port()
            self._mapper = Process(
                "epmd",
                ["/usr/bin/epmd", "-address", HOST, "-port", str(self._mapper_port)],
                log=self.directory / "epmd.log",
                record=self.directory / "epmd.process",
                death_signal=signal.SIGKILL,
            )
            self._mapper.start()

    def _build(self, port: int) -> Process:
        folder = self.directory
        definitions = folder / "definitions.json"
        write_private(definitions, json.dumps(self._all_definitions()))
        write_private(folder / "enabled_plugins", "[].")
        configuration = CONFIGURATION.format(host=HOST, port=port, definitions=definitions)
        if self._seed is not None:
            configuration = configuration.replace(f"load_definitions = {definitions}\n", "")
            configuration += self._joining
        write_private(folder / "rabbitmq.conf", configuration)
        environment: dict[str, Any] = {
            **self.control,
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            # Has the script become the node, instead of waiting for it.
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_DIST_PORT": free_port(),
            "RABBITMQ_NODE_PORT": port,
            "RABBITMQ_MNESIA_BASE": folder / "data",
            "RABBITMQ_LOG_BASE": folder / "logs",
            "RABBITMQ_CONFIG_FILE": folder / "rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": folder / "none",
            "RABBITMQ_ADVANCED_CONFIG_FILE": folder / "none.config",
            "RABBITMQ_ENABLED_PLUGINS_FILE": folder / "enabled_plugins",
            "RABBITMQ_PID_FILE": folder / "pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ERLANG,
        }
        return Process(
            self.name,
            [program(RABBITMQ)],
            log=self.log,
            record=self._record,
            environment={name: str(value) for name, value in environment.items()},
            directory=folder,
        )

    def _all_definitions(self) -> dict[str, list[dict[str, Any]]]:
        # Salt and digest, as RabbitMQ stores passwords.
        salt = bytes(4)
        digest = hashlib.sha256(salt + self.password.encode()).digest()
        stored = base64.b64encode(salt + digest).decode()
        users = (USER, NARROW)
        return {
            "vhosts": [{"name": name} for name in self._virtual_hosts],
            "users": [{"name": name, "password_hash": stored, "tags": ""} for name in users],
            "permissions": [
                {
                    "user": user,
                    "vhost": host,
                    "configure": ".*" if user == USER else "celery",
                    "write": ".*",
                    "read": ".*",
                }
                for user in users
                for host in self._virtual_hosts
            ],
            **self._definitions,
        }

    def _ready(self, process: Process) -> bool:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, self.port)):
                return False
        return process.running and self.answers()

    def _after_start(self) -> None:
        """Nothing is left to do."""

    def _again(self, output: str) -> bool:  # noqa: ARG002 - nothing of it matters
        """Nothing that passes stops its start."""
        return False
