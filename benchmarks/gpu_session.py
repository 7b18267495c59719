"""All that is to be measured on a machine with a GPU, in one go of at most eight minutes.

    python benchmarks/gpu_session.py download.zip --out gpu.json
    python benchmarks/gpu_session.py download.zip --out dry.json --device cpu      # tries what needs no GPU

Each step is a process of its own with a limit of its own, and the results are written after each, so that a step that
fails or hangs costs the others nothing: its last lines stand in its place.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
LIMIT = 470
"""Seconds of all steps together."""
PATIENCE = 6
"""Times as long that all may take where there is no GPU."""
NETWORKS = {
    "mathworks": ("mathworks-cnn-lstm", "tdnn"),
    "keren": ("keren-extended-clstm",),
    "etienne": ("etienne-cnn-blstm",),
    "zhao": ("zhao-2d",),
    "digits": ("digits-crnn",),
}
"""Networks of each source system, by the preset of their features."""
GPU_TESTS = (
    "tests/pipelines/test_torch_rows.py",
    "tests/pipelines/test_device_build.py",
    "tests/models/test_residence.py",
    "tests/models/test_waiting.py",
    "tests/models/test_mathworks.py",
    "tests/models/test_models_registry.py",
)


class Session:
    """The steps that were run, and what they gave."""

    def __init__(self, out: Path, patience: int) -> None:
        self.out = out
        self.patience = patience
        self.begun = time.monotonic()
        self.results: dict[str, Any] = {}

    def step(self, name: str, seconds: float, *command: str) -> None:
        """Run a step for so many seconds at most; note its JSON output, or its last lines if it gives none."""
        begun = time.monotonic()
        left = min(self.patience * seconds, self.patience * LIMIT - (begun - self.begun))
        try:
            if left < 5:
                raise subprocess.TimeoutExpired(command, left)
            done = subprocess.run(
                [sys.executable, *command], capture_output=True, text=True, timeout=left, cwd=HERE.parent, check=False
            )
            result: Any = {"exit_code": done.returncode, "said": (done.stdout + done.stderr).splitlines()[-8:]}
            if done.returncode == 0 and done.stdout.lstrip().startswith("{"):
                result = json.loads(done.stdout)
        except subprocess.TimeoutExpired:
            result = {"not_measured": f"not done within {left:.0f} s"}
        self.results[name] = {"seconds": round(time.monotonic() - begun, 1), "result": result}
        self.out.write_text(json.dumps(self.results, indent=1))
        print(f"{name}: {self.results[name]['seconds']} s", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    arguments = parser.parse_args()
    dry = arguments.device == "cpu"
    session = Session(arguments.out.absolute(), PATIENCE if dry else 1)
    archive = str(arguments.archive.absolute())
    copies, clips, rounds = ("1", "96", "1") if dry else ("20", "6400", "2")
    with tempfile.TemporaryDirectory() as store:
        session.step("tests", 60, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-k", "gpu", *GPU_TESTS)
        session.step("build", 100, str(HERE / "gpu.py"), archive, "--rounds", "1", *(("--copies", "2") if dry else ()))
        for features, models in NETWORKS.items():
            options = ("--features", features, "--augment", copies, "--source", archive, "--store", store, "--json")
            session.step(f"rows of {features}", 60, "-m", "cli", "build", "emodb", "--name", features, *options)
            for model in models:
                training = (store, "--dataset", features, "--model", model, "--device", arguments.device)
                training = (str(HERE / "gpu_training.py"), *training, "--clips", clips, "--rounds", rounds)
                session.step(model, 60, *training)
                if model == "mathworks-cnn-lstm":
                    session.step(f"{model}, float32", 40, *training, "--precision", "float32")
                    session.step(f"{model}, bfloat16", 40, *training, "--precision", "bfloat16")
                    session.step(f"{model}, compiled", 90, *training, "--compile")
    print(arguments.out.read_text())


if __name__ == "__main__":
    main()
