"""podman with storage of its own, and an image of Debian to build on without a registry."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.support.packages import read_lock

BASE: Final = "localhost/python:3.11-slim"
"""What the Dockerfile builds on, made of Debian 12: nothing is pulled."""
PACKAGES: Final = "python3,python3-venv,python-is-python3,ca-certificates"
PIP_CONFIGURATION: Final = "[global]\nno-index = true\nfind-links = /wheels\n"
# Debian's crun does not run on machines with both versions of cgroups, and a sandbox may not raise
# limits.
RUN: Final = ("--network=host", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")


@dataclass(frozen=True)
class Podman:
    """podman, with images and containers in ``directory``."""

    directory: Path

    def run(self, *arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of podman."""
        own = [f"--root={self.directory}/images", f"--runroot={self.directory}/run"]
        done = subprocess.run(
            ["podman", *own, "--runtime=runc", "--cgroup-manager=cgroupfs", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0 or not check, f"{arguments[0]}: {done.stdout}{done.stderr}"
        return done

    def clear(self) -> None:
        """Remove all containers and images, and the mount that podman leaves over its images."""
        self.run("rm", "--all", "--force", check=False)
        self.run("rmi", "--all", "--force", check=False)
        overlay = self.directory / "images" / "overlay"
        if overlay.is_mount():
            subprocess.run(["umount", overlay], check=True)

    def import_base(self) -> None:
        """Import a Debian with Python; skip if containers cannot run here."""
        root = self.directory / "debian"
        bootstrap = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm"]
        done = subprocess.run([*bootstrap, root], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:]
        archive = self.directory / "debian.tar"
        subprocess.run(["tar", "-C", root, "-cf", archive, "."], check=True)
        self.run("import", archive, BASE)
        archive.unlink()
        done = self.run("run", "--rm", *RUN, BASE, "true", check=False)
        if done.returncode:
            pytest.skip(f"podman runs no container here: {done.stderr.strip()}")

    def build(self, checkout: Path, image: str) -> None:
        """Build the image of the Dockerfile, with packages that are downloaded first."""
        version = self.run("run", "--rm", *RUN, BASE, "python", "-V").stdout.split()[1]
        wheels, configuration = self.directory / "wheels", self.directory / "pip.conf"
        _download(checkout / "requirements-extras.lock", version, wheels)
        configuration.write_text(PIP_CONFIGURATION)
        mounts = ("-v", f"{wheels}:/wheels:ro", "-v", f"{configuration}:/etc/pip.conf:ro")
        options = ("--pull-never", "--layers=false", "--isolation=chroot", "--network=host")
        self.run("build", *options, *mounts, "-t", image, checkout)


def _download(lock: Path, python: str, folder: Path) -> None:
    """Download what a lock file has for a version of Python, as wheels."""
    environment = {
        "python_full_version": python,
        "python_version": ".".join(python.split(".")[:2]),
    }
    pins = [f"{each.name}=={each.version}" for each in read_lock(lock) if each.applies(environment)]
    options = ["--quiet", "--no-deps", "--only-binary=:all:"]
    version = f"--python-version={environment['python_version']}"
    command = [sys.executable, "-m", "pip", "download", *options, version, "-d", str(folder)]
    subprocess.run([*command, *pins], check=True)
