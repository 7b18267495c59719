"""Machines of a cluster on this one: each has an address, a host name and a working folder of its own.

Where the kernel allows it, a machine is a network namespace, joined to the others by a bridge, so that nothing listens
on an address that two of them share; elsewhere it is an address of the loopback network.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from demo_corpus import ROOT

EXAMPLES = ROOT / "docs" / "examples" / "cluster"
NETWORK = "10.77.0"
PORT = 8786
_TOOLS = ("unshare", "nsenter", "ip")
_CREATE = ("unshare", "--net", "--uts")


def has_namespaces() -> bool:
    """Tell whether this process may make networks of its own."""
    if not all(map(shutil.which, _TOOLS)):
        return False
    line = "ip link add test-a type veth peer name test-b && ip link add test-c type bridge"
    return subprocess.run([*_CREATE, "sh", "-c", line], capture_output=True, check=False).returncode == 0


@dataclass
class Machine:
    """One machine: where it is, and what runs on it."""

    name: str
    address: str
    folder: Path
    enter: tuple[str, ...] = ()
    """Words before a command that let it run there."""
    environment: dict[str, str] = field(default_factory=dict)
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *command: str, **options: object) -> subprocess.Popen[str]:
        """Start a Python command there, its output in a log beside the folder; kill it to end it."""
        words = [*self.enter, sys.executable, *command]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "80", **self.environment}
        how: dict[str, object] = {"cwd": self.folder, "env": environment, "text": True, **options}
        if "stdout" not in how:
            with self.log.open("a") as log:
                process = subprocess.Popen(words, stdout=log, stderr=log, **how)  # type: ignore[call-overload]
        else:
            process = subprocess.Popen(words, **how)  # type: ignore[call-overload]
        self.running.append(process)
        return process  # type: ignore[no-any-return]

    @property
    def log(self) -> Path:
        """What its processes print."""
        return self.folder.with_suffix(".log")

    def kill(self) -> None:
        """Kill all that runs there, and wait until it is gone."""
        for process in self.running:
            process.kill()
        for process in self.running:
            process.communicate()
        self.running.clear()


@contextmanager
def machines(
    place: Path, names: Sequence[str], environment: Mapping[str, str] | None = None
) -> Iterator[list[Machine]]:
    """Run machines of these names, whose folders are made below a place; all that runs on them is killed at the end."""
    apart = has_namespaces()
    with ExitStack() as opened:
        bridge = _namespace(opened, "switch", "ip link add bridge type bridge && ip link set bridge up") if apart else 0
        found = []
        for number, name in enumerate(names, start=1):
            folder = place / name
            folder.mkdir(parents=True)
            machine = Machine(name, f"127.0.0.{number + 1}", folder, environment=dict(environment or {}))
            if apart:
                pid = _namespace(opened, name, "true")
                machine.address, machine.enter = f"{NETWORK}.{number}", ("nsenter", "-t", str(pid), "--net", "--uts")
                _join(bridge, pid, number)
            opened.callback(machine.kill)
            found.append(machine)
        yield found


def _namespace(opened: ExitStack, name: str, line: str) -> int:
    """Make a network with a host name; return the process that keeps it, which ends with this one."""
    keeper = subprocess.Popen(
        [*_CREATE, "sh", "-c", f"hostname {name} && ip link set lo up && {line} && echo ready && exec cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    opened.callback(keeper.communicate)
    opened.callback(keeper.terminate)  # forked processes may hold its standard input open
    assert keeper.stdout is not None
    assert keeper.stdout.readline() == "ready\n", f"cannot make the network of {name}"
    return keeper.pid


def _join(bridge: int, pid: int, number: int) -> None:
    """Lay a cable from a machine to the bridge."""
    inside = f"ip addr add {NETWORK}.{number}/24 dev eth0 && ip link set eth0 up"
    for target, line in (
        (bridge, f"ip link add port{number} type veth peer name eth0 netns {pid}"),
        (bridge, f"ip link set port{number} master bridge up"),
        (pid, inside),
    ):
        subprocess.run(["nsenter", "-t", str(target), "--net", "sh", "-c", line], check=True)


def certificates(folder: Path) -> dict[str, str]:
    """Make certificates as docs/cluster.md does; return Dask's own configuration of them, as variables."""
    subprocess.run(["bash", EXAMPLES / "certificates.sh", folder], check=True, capture_output=True)
    lines = [line.removeprefix("export ") for line in (folder / "environment.sh").read_text().splitlines()]
    return dict(line.split("=", 1) for line in lines if "REQUIRE" not in line)


@dataclass
class Cluster:
    """A scheduler, workers and a client, each on a machine of its own."""

    client: Machine
    scheduler: Machine
    workers: list[Machine]
    scheme: str = "tls"

    @property
    def address(self) -> str:
        """The scheduler's address."""
        return f"{self.scheme}://{self.scheduler.address}:{PORT}"

    def start_scheduler(self) -> None:
        """Start the scheduler."""
        place = ("--host", f"{self.scheme}://{self.scheduler.address}", "--port", str(PORT))
        self.scheduler.start("-m", "dask", "scheduler", *place, "--no-dashboard", "--no-show")

    def start_worker(self, machine: Machine, *options: str) -> None:
        """Start a worker with one thread, which ends with its process."""
        place = ("--host", f"{self.scheme}://{machine.address}", "--local-directory", str(machine.folder))
        how = ("--nthreads", "1", "--no-nanny", "--no-dashboard")
        machine.start("-m", "dask", "worker", self.address, *place, *how, *options)

    def start(self) -> None:
        """Start all of it."""
        self.start_scheduler()
        for worker in self.workers:
            self.start_worker(worker)

    def command(self, *words: object) -> subprocess.Popen[str]:
        """Start a command on the client's machine."""
        pipe = subprocess.PIPE
        return self.client.start("-m", "cli", *map(str, words), stdout=pipe, stderr=pipe)
