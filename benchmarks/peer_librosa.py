"""What most people write: librosa for effects and features, joblib for processes, h5py for storage."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import h5py
import joblib
import librosa
import numpy as np
from subset import EPS, FFT, HOP, MELS, RATE, parameters


def augmented(signal, number, copy):
    semitones, shift, snr_db, seed = parameters(number, copy)
    if semitones is not None:
        signal = librosa.effects.pitch_shift(signal, sr=RATE, n_steps=semitones)
    signal = np.roll(signal, shift)
    noise = np.random.default_rng(seed).standard_normal(len(signal))
    signal = signal + noise * np.sqrt(np.mean(signal**2) / np.mean(noise**2) / 10 ** (snr_db / 10))
    return (signal / np.abs(signal).max()).astype(np.float32)


def log_mel(signal):
    mel = librosa.feature.melspectrogram(
        y=signal, sr=RATE, n_fft=FFT, hop_length=HOP, n_mels=MELS, window="hamming", center=False, htk=True
    )
    return np.log(mel + EPS).T.astype(np.float16)


def rows(number, path, copies):
    signal, _ = librosa.load(path, sr=RATE)
    return [log_mel(augmented(signal, number, copy)) for copy in range(copies)]


def run(paths, copies, jobs, out):
    """Write all rows, a dataset each; return the seconds it took, once the processes stand and have compiled."""
    with joblib.Parallel(jobs) as pool, h5py.File(out, "w") as file:
        pool(joblib.delayed(rows)(number, path, 1) for number, path in enumerate(paths[:jobs]))
        begun = time.perf_counter()
        results = pool(joblib.delayed(rows)(number, path, copies) for number, path in enumerate(paths))
        for number, of_file in enumerate(results):
            for copy, row in enumerate(of_file):
                file[f"{number}/{copy}"] = row
        file.flush()
    return time.perf_counter() - begun


if __name__ == "__main__":
    _, folder, copies, jobs = sys.argv
    paths = sorted(map(str, Path(folder).rglob("*.wav")))
    print(run(paths, int(copies), int(jobs), Path(folder) / "librosa.h5"))
