"""The bits of rows: two clips of the demo corpus through each kind of features and each perturbation.

`python tests/golden_rows.py` prints the digests of this machine as JSON and `--write` makes them the golden ones in
`golden_rows.json`: to be run after a change of numbers that is meant, with the versions of its operations raised.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from featurestore.corpus.synthetic import demo_files
from featurestore.perturbations.policy_tables import Distribution, Recordings
from featurestore.row_engine import RowEngine
from featurestore.specs.augmentation import AugmentationSpec, Perturbation, draw
from featurestore.specs.features import FeatureSpec
from featurestore.specs.presets import feature_preset, policy

GOLDEN = Path(__file__).with_suffix(".json")
CLIPS = ("f1_s1_hap.wav", "m2_s3_sad.wav")
SECONDS = 1.0
"""The clips are cut, so that a machine without fused products, which the system then computes slowly, is soon done."""


def single(name: str, **fields: object) -> FeatureSpec:
    """Return a preset whose rows keep all bits."""
    return replace(feature_preset(name), dtype="float32", **fields)


FEATURES = {
    "logmel float16": feature_preset("mathworks"),
    "logmel": single("mathworks"),
    "logmel slaney at 22,050 Hz": single("digits"),
    "logmel in decibels, trimmed": single("zhao", trim_db=30.0),
    "logmel, transforms of 600": single("keren", fft_length=600),
    "spectrogram": single("etienne"),
    "mfcc": single("mfcc"),
    "waveform": single("waveform"),
}


def wav(signal: np.ndarray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, signal, 16_000, format="WAV", subtype="PCM_16")
    return file.getvalue()


def recordings() -> dict[str, bytes]:
    """Return a noise and a room response by their names in the table, made of whole numbers alone."""
    whole = (np.arange(9_000, dtype=np.int64) * 48_271 + 11) ** 2 % 65_521 - 32_760
    decaying = np.where(np.arange(1_200) % 40, 0, whole[:1_200] * 2 ** (30 - np.arange(1_200) // 40) // 2**30)
    decaying[20] = 32_000
    return {"noise": wav(whole.astype(np.int16)), "room": wav(decaying.astype(np.int16))}


SOUNDS = recordings()
CONTENTS = {name: hashlib.sha256(data).hexdigest() for name, data in SOUNDS.items()}
PERTURBATIONS = {
    "none": None,
    "pitch up": Perturbation(semitones=1.7),
    "pitch down": Perturbation(semitones=-1.3),
    "stretch": Perturbation(stretch=1.25),
    "stretch and pitch": Perturbation(stretch=0.8, semitones=2.0),
    "shift": Perturbation(shift_seconds=0.1),
    "room": Perturbation(reverb=0.7, rir=CONTENTS["room"]),
    "recorded noise": Perturbation(recorded_snr_db=7.3, noise=CONTENTS["noise"], noise_position=0.3),
    "white noise": Perturbation(snr_db=11.1, noise_key=0x123456789ABCDEF),
    "white noise, 75 dB below": Perturbation(snr_db=75.0, noise_key=5),
    "volume": Perturbation(gain_db=-3.7),
    "vtlp": Perturbation(vtlp_alpha=1.07),
    "peak": Perturbation(peak=0.9),
    "all": Perturbation(
        semitones=-0.9, stretch=1.1, shift_seconds=-0.05, reverb=0.4, rir=CONTENTS["room"], recorded_snr_db=15.0,
        noise=CONTENTS["noise"], noise_position=0.9, snr_db=25.0, noise_key=9, gain_db=2.0, vtlp_alpha=0.93, peak=1.0,
    ),
}  # fmt: skip
_ONE = Distribution(listed=(1.0,))


def everything(features: FeatureSpec) -> AugmentationSpec:
    """Return a policy that allows each perturbation; what is applied here is given, not drawn."""
    return AugmentationSpec(
        semitones=_ONE,
        stretch=Distribution(listed=(0.8, 1.25)),
        shift_seconds=_ONE,
        reverb=_ONE,
        rirs=Recordings((CONTENTS["room"],)),
        recorded_snr_db=_ONE,
        noises=Recordings((CONTENTS["noise"],)),
        snr_db=_ONE,
        gain_db=_ONE,
        vtlp_alpha=None if features.kind == "waveform" else _ONE,
        peak=_ONE,
    )


def rows(clips: list[bytes]) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Yield each place of the table with its rows."""
    sounds = {CONTENTS[name]: data for name, data in SOUNDS.items()}
    for kind, features in FEATURES.items():
        engine = RowEngine(features, everything(features), sounds.__getitem__)
        sources = [engine.load(clip) for clip in clips]
        for name, one in PERTURBATIONS.items():
            if one is None:
                yield f"{kind} / {name}", [engine.clean(source) for source in sources]
            elif name != "vtlp" or features.kind != "waveform":
                given = replace(one, vtlp_alpha=None) if features.kind == "waveform" else one
                yield f"{kind} / {name}", [engine.augmented(source, given) for source in sources]
    mathworks = policy("mathworks")
    engine = RowEngine(feature_preset("mathworks"), mathworks)
    drawn = [draw(mathworks, hashlib.sha256(clips[0]).hexdigest(), copy) for copy in range(1, 5)]
    yield "mathworks / mathworks, copies 1 to 4", [engine.augmented(engine.load(clips[0]), one) for one in drawn]


def table() -> dict[str, str]:
    """Return the first 16 digits of the sha256 of the rows of each place, and of the demo corpus itself."""
    files = demo_files()
    clips = [files[name][: 44 + 2 * int(16_000 * SECONDS)] for name in CLIPS]
    clips = [wav(np.frombuffer(clip[44:], "<i2")) for clip in clips]
    found = {"demo corpus": _digest([files[name] for name in sorted(files)])}
    return found | {name: _digest([row.tobytes() for row in of_clips]) for name, of_clips in rows(clips)}


def _digest(pieces: list[bytes]) -> str:
    return hashlib.sha256(b"".join(pieces)).hexdigest()[:16]


if __name__ == "__main__":
    text = json.dumps(table(), indent=1) + "\n"
    if "--write" in sys.argv:
        GOLDEN.write_text(text)
    else:
        sys.stdout.write(text)
