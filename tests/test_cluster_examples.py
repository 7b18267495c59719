"""The examples of docs/cluster.md, as far as they can be checked without SLURM and Kubernetes."""

from __future__ import annotations

import re
import runpy
import subprocess

import pytest
import yaml
from click.testing import CliRunner
from cluster_machines import EXAMPLES, certificates
from demo_corpus import ROOT

PAGE = (ROOT / "docs" / "cluster.md").read_text()


def test_every_example_is_on_the_page():
    assert {path.name for path in EXAMPLES.iterdir()} == set(re.findall(r"\(examples/cluster/([\w.]+)\)", PAGE))


@pytest.mark.parametrize("name", ["slurm.sh", "certificates.sh"])
def test_scripts_have_the_syntax_of_bash(name):
    subprocess.run(["bash", "-n", EXAMPLES / name], check=True)


def kubernetes() -> dict[str, dict]:
    return {one["kind"]: one for one in yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text())}


def test_the_kubernetes_example_names_one_configuration_and_one_address_everywhere(tmp_path):
    kinds = kubernetes()
    cluster = kinds["DaskCluster"]["spec"]
    pods = [cluster["worker"]["spec"], cluster["scheduler"]["spec"], kinds["Job"]["spec"]["template"]["spec"]]
    configured = kinds["ConfigMap"]["data"]

    for pod in pods:
        (container,) = pod["containers"]
        assert container["envFrom"][0]["configMapRef"]["name"] == kinds["ConfigMap"]["metadata"]["name"]
        assert container["volumeMounts"][0]["name"] == pod["volumes"][0]["name"]
    assert {name for name in configured if name.startswith("DASK")} - {
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"
    } == set(certificates(tmp_path / "tls"))
    address = f"tls://{kinds['DaskCluster']['metadata']['name']}-scheduler:8786"
    assert address in pods[0]["containers"][0]["args"]
    assert address in pods[2]["containers"][0]["args"]
    assert all(isinstance(value, str) for value in configured.values())


def test_the_commands_of_the_kubernetes_example_take_these_options():
    from distributed.cli import dask_scheduler, dask_worker

    from cli.main import featurestore

    kinds = kubernetes()
    spec = kinds["DaskCluster"]["spec"]
    words = [spec[role]["spec"]["containers"][0]["args"] for role in ("scheduler", "worker")]
    words += [kinds["Job"]["spec"]["template"]["spec"]["containers"][0]["args"]]
    for command, arguments in zip((dask_scheduler.main, dask_worker.main, featurestore), words, strict=True):
        skipped = 1 if command is featurestore else 2
        done = CliRunner().invoke(command, [*map(str, arguments[skipped:]), "--help"])
        assert done.exit_code == 0, done.output


def test_the_operator_takes_the_kubernetes_example():
    pytest.importorskip("dask_kubernetes", reason="dask-kubernetes is not installed")
    from dask_kubernetes.operator import make_cluster_spec

    def keys(value: object, path: str = "") -> set[str]:
        found = {path} if path else set()
        for name, one in value.items() if isinstance(value, dict) else ():
            found |= keys(one, f"{path}/{name}")
        return found

    ours, theirs = kubernetes()["DaskCluster"], make_cluster_spec("features", n_workers=16)
    assert ours["apiVersion"] == theirs["apiVersion"]
    assert keys(ours["spec"]) <= keys(theirs["spec"]) | {"/worker/spec/volumes", "/scheduler/spec/volumes"}
    assert ours["spec"]["scheduler"]["service"]["selector"] == theirs["spec"]["scheduler"]["service"]["selector"]


def test_the_jobqueue_example_makes_a_script_of_slurm(tmp_path, monkeypatch):
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed")
    for name, value in certificates(tmp_path / "tls").items():
        monkeypatch.setenv(name, value)
    import dask.config

    dask.config.refresh()
    example = runpy.run_path(str(EXAMPLES / "jobqueue.py"))
    with example["SLURMCluster"](
        **example["CLUSTER"], scheduler_options={"dashboard_address": "127.0.0.1:0"}
    ) as cluster:
        script = cluster.job_script()
    dask.config.refresh()

    assert "#SBATCH" in script
    assert f"--tls-key {tmp_path}/tls/key.pem" in script
    assert "--nthreads 1" in script
    assert "--nworkers 16" in script
    assert "tls://" in script
