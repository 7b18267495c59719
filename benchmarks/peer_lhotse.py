"""A smaller job with lhotse, which has no pitch shift by semitones: noise and log-mel features, stored by lhotse."""

from __future__ import annotations

import sys
import time
import uuid
from pathlib import Path

import lhotse
import numpy as np
import soundfile
from subset import HOP, MELS, RATE


def run(paths, copies, jobs, folder):
    """Compute and store `copies` noisy copies of each recording; return the seconds it took."""
    recordings = lhotse.RecordingSet.from_recordings(lhotse.Recording.from_file(path) for path in paths)
    noise = np.random.default_rng(0).standard_normal((1, 10 * RATE)).astype(np.float32)
    soundfile.write(folder / "noise.flac", 0.1 * noise[0], RATE)
    noises = lhotse.CutSet.from_cuts([lhotse.Recording.from_file(folder / "noise.flac").to_cut()])
    cuts = lhotse.CutSet.from_manifests(recordings=recordings)
    begun = time.perf_counter()
    repeated = cuts.repeat(copies).mix(noises, snr=(-20, 40), mix_prob=1.0, seed=0)
    extractor = lhotse.Fbank(lhotse.FbankConfig(num_filters=MELS, sampling_rate=RATE, frame_shift=HOP / RATE))
    repeated.to_eager().compute_and_store_features(extractor, folder / uuid.uuid4().hex, num_jobs=jobs)
    return time.perf_counter() - begun


if __name__ == "__main__":
    _, folder, copies, jobs = sys.argv
    place = Path(folder)
    print(run(sorted(map(str, place.rglob("wav/*.wav"))), int(copies), int(jobs), place))
