"""The job with Hugging Face datasets: `map` over recordings, rows in Arrow files."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import datasets
import peer_librosa


def copies_of(batch, copies):
    rows = [peer_librosa.rows(n, path, copies) for n, path in zip(batch["number"], batch["path"], strict=True)]
    return {"features": [row.tobytes() for of_file in rows for row in of_file]}


def run(paths, copies, jobs, folder):
    """Map all recordings; return the seconds it took with the start of its processes, which it makes anew."""
    table = datasets.Dataset.from_dict({"number": list(range(len(paths))), "path": paths})
    begun = time.perf_counter()
    table.map(
        copies_of,
        batched=True,
        batch_size=1,
        num_proc=jobs,
        fn_kwargs={"copies": copies},
        remove_columns=["number", "path"],
        cache_file_name=str(folder / f"rows-{begun}.arrow"),
    )
    return time.perf_counter() - begun


if __name__ == "__main__":
    datasets.disable_progress_bars()
    _, folder, copies, jobs = sys.argv
    print(run(sorted(map(str, Path(folder).rglob("*.wav"))), int(copies), int(jobs), Path(folder)))
