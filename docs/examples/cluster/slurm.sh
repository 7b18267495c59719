#!/bin/bash
#SBATCH --job-name=features
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=16
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=2G
#SBATCH --time=02:00:00
#SBATCH --requeue
# One job: scheduler and build on its first node, a worker in each task. A job that was cut off continues when it is
# submitted again: sbatch slurm.sh
set -euo pipefail

store=/shared/features                        # seen by all nodes under this path; or s3://BUCKET/PREFIX
source /shared/venv/bin/activate              # one installation for all nodes
source "$HOME/.dask-tls/environment.sh"       # written by: certificates.sh "$HOME/.dask-tls"
export OMP_NUM_THREADS=1 DASK_CONFIG=/shared/dask.yaml    # beside this script in the documentation

address="tls://$(hostname):8786"
dask scheduler --protocol tls --port 8786 --no-dashboard &
trap 'kill $(jobs -p)' EXIT
srun dask worker "$address" --protocol tls --nthreads 1 --no-nanny --no-dashboard \
  --local-directory "${TMPDIR:-/tmp}" --death-timeout 120 &
featurestore build emodb --augment 75 --source /shared/corpora/emodb.zip --store "$store" --scheduler "$address"
