"""Build on workers that dask-jobqueue submits to SLURM, a job for each 16 of them.

pip install dask-jobqueue; source ~/.dask-tls/environment.sh; python jobqueue.py
"""

from dask_jobqueue import SLURMCluster
from distributed import Client
from distributed.security import Security

from featurestore.store import open_store
from pipelines import experiments

CLUSTER = {
    "cores": 16,
    "processes": 16,  # workers of one thread each
    "memory": "32GB",
    "walltime": "02:00:00",
    "protocol": "tls://",
    "security": Security(),  # as environment.sh says
    "job_script_prologue": ["source /shared/venv/bin/activate", "export OMP_NUM_THREADS=1"],
}

if __name__ == "__main__":
    with SLURMCluster(**CLUSTER) as cluster:
        cluster.scale(jobs=4)
        with Client(cluster) as client:
            client.wait_for_workers(1)  # as long as the queue is
        report = experiments.build(
            "emodb", copies=75, store=open_store("/shared/features"), scheduler=cluster.scheduler_address
        )
    print(report.digest)  # noqa: T201
