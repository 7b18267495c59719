"""The 124 unusual, damaged and hostile files of public test suites, each with its verdict in `odd_audio.tsv`."""

import csv
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from featurestore.errors import AudioError
from featurestore.signal.guarded import GuardedDecoder

with Path(__file__).with_name("odd_audio.tsv").open(encoding="utf-8") as table:
    VERDICTS = {row["file"]: row for row in csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE)}


@pytest.fixture(scope="module")
def odd_files(shared):
    with zipfile.ZipFile(shared / "data" / "odd_audio" / "odd_audio.zip") as archive:
        return {Path(name).name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}


@pytest.fixture(scope="module")
def decoder():
    return GuardedDecoder()


def verdict(decoder, data):
    try:
        recording = decoder.decode(data)
    except AudioError as error:
        return {"verdict": "rejected", "rate": "", "channels": "", "samples": "", "reason": str(error)}
    figures = {"rate": recording.rate, "channels": recording.channels, "samples": len(recording.signal)}
    return {"verdict": "decoded", "reason": "", **{name: str(figure) for name, figure in figures.items()}}


def test_the_table_holds_a_verdict_for_each_of_the_124_files(odd_files):
    assert len(VERDICTS) == 124
    assert set(odd_files) == set(VERDICTS)


def test_each_file_is_decoded_or_rejected_as_the_table_says(odd_files, decoder):
    for name, data in odd_files.items():
        assert {"file": name, **verdict(decoder, data)} == VERDICTS[name]


def reference(data):
    """Decode with libsndfile alone, or where it cannot, with scipy."""
    import scipy.io.wavfile

    try:
        samples, rate = soundfile.read(io.BytesIO(data), dtype="float64", always_2d=True)
    except soundfile.SoundFileError:
        rate, whole = scipy.io.wavfile.read(io.BytesIO(data))
        samples = whole.reshape(len(whole), -1) / 2.0 ** (8 * whole.dtype.itemsize - 1)
    return samples.mean(axis=1), rate


OWN_WAY = {
    "iver56__audiomentations__ms_adpcm.wav": "libsndfile leaves the last, shorter block out",
    "jiaaro__pydub__bach.ogg": "libsndfile reads no FLAC in Ogg that was written into a pipe",
}


def test_what_is_decoded_equals_a_reference_decoder_within_rounding(odd_files, decoder):
    compared = 0
    for name, data in odd_files.items():
        if VERDICTS[name]["verdict"] == "decoded" and name not in OWN_WAY:
            samples, rate = reference(data)
            ours = decoder.decode(data)
            scale = max(1.0, float(np.max(np.abs(samples))))
            assert (ours.rate, name) == (rate, name)
            count = min(len(samples), len(ours.signal))
            assert len(ours.signal) <= len(samples) or name.endswith(".mp3")
            np.testing.assert_allclose(ours.signal[:count], samples[:count], atol=2e-6 * scale, err_msg=name)
            compared += 1
    assert compared == sum(one["verdict"] == "decoded" for one in VERDICTS.values()) - len(OWN_WAY)


def test_no_file_makes_the_process_or_its_decoder_grow_by_300_megabytes(shared):
    archive = shared / "data" / "odd_audio" / "odd_audio.zip"
    script = (
        "import resource, sys, zipfile\n"
        "from featurestore.errors import AudioError\n"
        "from featurestore.signal.guarded import GuardedDecoder\n"
        "decoder = GuardedDecoder()\n"
        "own = lambda who: resource.getrusage(who).ru_maxrss / 1024\n"
        "before = own(resource.RUSAGE_SELF)\n"
        "with zipfile.ZipFile(sys.argv[1]) as archive:\n"
        "    for name in archive.namelist():\n"
        "        try:\n"
        "            decoder.decode(archive.read(name))\n"
        "        except AudioError:\n"
        "            continue\n"
        "del decoder\n"
        "print(own(resource.RUSAGE_SELF) - before, own(resource.RUSAGE_CHILDREN))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(archive)], capture_output=True, text=True, check=True)
    growth, child = (float(figure) for figure in done.stdout.split())

    assert growth < 300
    assert child < 300
