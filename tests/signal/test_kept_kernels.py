"""Where machine code of kernels is kept, when it counts no longer, and what happens where it cannot be kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from demo_corpus import ROOT
from tiny_corpus import write_corpus

from featurestore.signal import KERNELS_NOT_KEPT

PACKAGES = ("cli", "data_manifests", "featurestore", "models", "pipelines")
LOCKED = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && cd "$0" && ! touch "$0/written" 2>&- && exec "$@"'
"""Run a command in a folder that nobody can write, root neither; no other process sees it so."""


def mounts() -> bool:
    """Tell whether this user can have mounts of its own."""
    return bool(shutil.which("unshare")) and not subprocess.run(["unshare", "-m", "true"], check=False).returncode


@pytest.mark.parametrize(
    ("folder", "cache", "kept"),
    [
        ("site-packages", "{}/cache", "cache/numba"),
        ("site-packages", "", "home/.cache/numba"),  # empty means unset
        ("checkout", "{}/cache", "checkout/featurestore"),
    ],
)
def test_an_installation_keeps_kernels_where_pip_need_not_remove_them(tmp_path, folder, cache, kept):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "featurestore").symlink_to(ROOT / "featurestore")
    code = "from featurestore.signal.kernels.level import energy; print(energy._cache.cache_path)"
    paths = [str(tmp_path / folder), *(path for path in sys.path if path.endswith(("site-packages", "deps")))]
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    environment |= {"PYTHONPATH": os.pathsep.join(paths), "XDG_CACHE_HOME": cache.format(tmp_path)}

    done = subprocess.run(
        [sys.executable, "-S", "-P", "-c", code],
        cwd=tmp_path,
        env={**environment, "HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path / kept))
    assert not (tmp_path / "numba").exists()


def test_a_kernel_is_compiled_anew_once_a_formula_in_another_file_changes(tmp_path):
    package = tmp_path / "featurestore"
    shutil.copytree(ROOT / "featurestore", package, ignore=shutil.ignore_patterns("__pycache__"))
    compiled = "from featurestore.signal.kernels.compiled import"
    formula = compiled + " inlined\n\n@inlined\ndef scaled(x):\n    return {} * x\n"
    (package / "signal" / "loop.py").write_text(
        f"{compiled} kernel\nfrom featurestore.signal.kernels.formula import scaled\n\n"
        "@kernel\ndef loop(x):\n    return scaled(x)\n"
    )
    code = "from featurestore.signal.loop import loop; print(loop(1.0), *loop.stats.cache_hits.values())"
    paths = [str(tmp_path), *(path for path in sys.path if path.endswith(("site-packages", "deps")))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "NUMBA_CACHE_DIR": str(tmp_path / "kept")}

    told = []
    for factor in (2, 2, 3):
        (package / "signal" / "kernels" / "formula.py").write_text(formula.format(factor))
        command = [sys.executable, "-B", "-S", "-P", "-c", code]
        told.append(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split())

    assert told == [["2.0"], ["2.0", "1"], ["3.0"]]


@pytest.mark.slow
@pytest.mark.timeout(1_500)  # on a busy machine kernels compile for minutes
@pytest.mark.skipif(not mounts(), reason="needs a user who may mount")
def test_without_a_writable_home_or_installation_commands_work_and_say_once_how_to_keep_kernels(tmp_path):
    installation = tmp_path / "installation"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, installation / package, ignore=shutil.ignore_patterns("__pycache__"))
    corpus = write_corpus(tmp_path / "tiny", range(1, 4))

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", KERNELS_NOT_KEPT)  # this process may have been told
        }
        words = [sys.executable, "-m", "cli", *map(str, arguments), "--store", str(tmp_path / "store")]
        return subprocess.run(
            ["unshare", "-m", "sh", "-c", LOCKED, str(installation), *words],
            capture_output=True, text=True, check=False,
            env={**environment, "HOME": str(installation / "home"), "NO_COLOR": "1"},
        )  # fmt: skip

    build = (
        "build",
        corpus.with_suffix(".toml"),
        "--source",
        corpus,
        "--set",
        "mels=8",
        "--augment",
        "0",
        "--jobs",
        "1",
    )
    synthesised = ("build", "demo", "--features", "waveform", "--jobs", "1")  # two processes need kernels
    verify = ("verify", "--recompute", "1")
    for arguments, told in ((build, "3 clean"), (synthesised, "120 clean"), (verify, "no damage")):
        result = run(*arguments)

        assert result.returncode == 0, result.stderr
        assert told in result.stdout
        assert result.stderr.count("NUMBA_CACHE_DIR") == 1, result.stderr
    assert not list(Path(installation).rglob("__pycache__"))
