"""The steps of the Dockerfile as plain commands: built from the source distribution, used by one who is not root.

Every path of the image is put below a new folder, and its user is `nobody`, so that no user is added here. What the
image would be asked is asked then, with no HOME and everything but /data out of reach: doctor, a build, the published
results, and at the end what `pip uninstall` leaves. Printed are the time and the size of the installation.
Run it with `make package`; it installs all dependencies, which takes minutes.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo_corpus import ROOT
from source_copy import distributions

USER = "nobody"
COMMANDS = (
    "featurestore doctor",
    "featurestore build demo --augment 4",
    "featurestore train --recipe demo --epochs 1 --run /data/run",
    "featurestore reproduce mathworks --show",
    "featurestore verify",
)


class Image:
    """A folder in which steps of a Dockerfile are done one after the other."""

    def __init__(self, folder: Path, context: Path) -> None:
        self.folder, self.context = folder, context
        self.environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        self.user: str | None = None
        self.place = folder

    def inside(self, text: str) -> str:
        """Put the paths of the image below the folder, and nobody in the place of its user."""
        text = re.sub(r"(?<![\w/.])/(opt|data|nonexistent)\b", rf"{self.folder}/\1", text)
        return text.replace("researcher", USER)

    def step(self, instruction: str, rest: str) -> None:
        """Do one step."""
        if instruction == "COPY":
            self.run(
                f"mkdir --parents {self.folder}/opt && cp --recursive {self.context} {self.inside(rest.split()[1])}"
            )
        elif instruction == "RUN" and not rest.startswith("useradd"):
            self.run(self.inside(rest))
        elif instruction == "ENV":
            self.environment.update(pair.split("=", 1) for pair in shlex.split(self.inside(rest)))
        elif instruction == "USER":
            self.user = self.inside(rest)
        elif instruction == "WORKDIR":
            self.place = Path(self.inside(rest))

    def run(self, command: str) -> str:
        """Run a command in a shell, as the image's user, and return what it prints."""
        started = time.monotonic()
        who = {"user": self.user, "group": "nogroup", "extra_groups": []} if self.user and os.getuid() == 0 else {}
        home = {"HOME": f"{self.folder}/nonexistent"} if self.user else {}
        words, environment = ["/bin/sh", "-c", command], {**self.environment, **home}
        done = subprocess.run(words, cwd=self.place, env=environment, text=True, capture_output=True, **who)
        took = f"{time.monotonic() - started:.1f} s, exit code {done.returncode}"
        sys.stdout.write(f"$ {command.replace(str(self.folder), '')}   ({took})\n{done.stdout}")
        sys.stdout.flush()
        if done.returncode:
            sys.exit(done.stderr)
        return done.stdout


def can_use(path: Path) -> bool:
    """Tell whether any user can execute what lies at a path."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def main() -> None:
    """Do all steps and ask what users ask."""
    if os.getuid() == 0 and not can_use(Path(sys.executable).resolve()):
        sys.exit(
            f"{USER} cannot read {Path(sys.executable).resolve()}: run this with a Python outside of private folders."
        )
    with tempfile.TemporaryDirectory(prefix="featurestore-package-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        source, _ = distributions(folder)
        with tarfile.open(source) as archive:
            archive.extractall(folder / "context", filter="data")
        (context,) = (folder / "context").iterdir()
        image = Image(folder, context)
        lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
        for line in lines:
            if line and not line.startswith("#"):
                image.step(*line.split(maxsplit=1))
        image.run(
            f"cd {folder}/opt/venv && du --summarize --count-links --human-readable . lib/python*/site-packages/torch"
        )
        image.run("python -X importtime -c 'import featurestore' 2>&1 | tail --lines=1")
        for command in COMMANDS:
            image.run(image.inside(command))
        image.user = None
        image.run(f"{folder}/opt/venv/bin/python -m pip uninstall --yes featurestore")
        left = image.run(f"find {folder}/opt/venv -path '*data_manifests*' -o -name 'featurestore*'").strip()
        sys.exit(f"left behind: {left}" if left else 0)


if __name__ == "__main__":
    main()
