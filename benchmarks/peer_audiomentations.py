"""The job with audiomentations' transforms and librosa's features."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import audiomentations as am
import h5py
import joblib
import numpy as np
import soundfile
from peer_librosa import log_mel
from subset import RATE


def rows(path, copies):
    chain = am.Compose(
        [
            am.PitchShift(min_semitones=-2, max_semitones=2, p=0.5),
            am.Shift(min_shift=-0.3, max_shift=0.3, shift_unit="seconds", p=1),
            am.AddGaussianSNR(min_snr_db=-20, max_snr_db=40, p=1),
            am.Normalize(p=1),
        ]
    )
    signal, _ = soundfile.read(path, dtype="float32")
    return [log_mel(chain(np.array(signal), sample_rate=RATE)) for _ in range(copies)]


def run(paths, copies, jobs, out):
    """Write all rows, a dataset each; return the seconds it took."""
    with joblib.Parallel(jobs) as pool, h5py.File(out, "w") as file:
        pool(joblib.delayed(rows)(path, 1) for path in paths[:jobs])
        begun = time.perf_counter()
        for number, of_file in enumerate(pool(joblib.delayed(rows)(path, copies) for path in paths)):
            for copy, row in enumerate(of_file):
                file[f"{number}/{copy}"] = row
        file.flush()
    return time.perf_counter() - begun


if __name__ == "__main__":
    _, folder, copies, jobs = sys.argv
    print(run(sorted(map(str, Path(folder).rglob("*.wav"))), int(copies), int(jobs), Path(folder) / "am.h5"))
