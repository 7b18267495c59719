"""What the quality check finds in recordings that were made to have it."""

import zipfile

import numpy as np
import pytest
from odd_audio_bytes import flac_of, wav_of

from featurestore.corpus.sources.open import FolderSource
from featurestore.corpus.sources.types import MemorySource
from featurestore.quality.findings import Measured, findings_of
from featurestore.quality.measures import MOST_SNR_DB, clipped_share, measure
from featurestore.signal.audio import Recording, decode
from pipelines.audio_check import check_audio, looks_like_audio, sound_files

RATE = 16_000


@pytest.fixture(scope="module")
def speechlike():
    """Bursts of a tone with pauses between them, over faint noise."""
    time = np.arange(2 * RATE) / RATE
    bursts = np.sin(2 * np.pi * 300 * time) * (np.sin(2 * np.pi * 2 * time) > 0)
    return (0.2 * bursts + 0.001 * np.random.default_rng(0).standard_normal(len(time))).astype(np.float32)


def kinds(signal, rate=RATE, channels=1):
    measures = measure(Recording(np.asarray(signal, np.float32), rate, channels))
    return [finding.kind for finding in findings_of((Measured("a.wav", "0" * 64, measures),))]


def test_a_good_recording_has_no_finding(speechlike):
    assert kinds(speechlike) == []


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("clipping", lambda x: np.clip(8 * x, -1, 1)),
        ("clipping", lambda x: 0.7 * np.clip(8 * x, -1, 1)),
        ("silence", lambda x: 1e-5 * x),
        ("low level", lambda x: 0.02 * x),
        ("offset", lambda x: x + 0.05),
        ("beyond full scale", lambda x: 20 * x),
        ("leading silence", lambda x: np.concatenate([np.zeros(2 * RATE), x])),
        ("trailing silence", lambda x: np.concatenate([x, np.zeros(2 * RATE)])),
        ("very short", lambda x: x[:1_000]),
        ("very long", lambda x: np.tile(x, 31)),
    ],
)
def test_each_fault_is_found_alone(speechlike, kind, change):
    assert kinds(change(speechlike)) == [kind]


@pytest.mark.parametrize("snr_db", [5, 10, 20, 30])
def test_the_signal_to_noise_ratio_of_speech_with_pauses_is_estimated_within_two_decibels(speechlike, snr_db):
    rng = np.random.default_rng(1)
    clean = speechlike.astype(np.float64)
    noise = rng.standard_normal(len(clean)) * np.sqrt(np.mean(clean**2) / 10 ** (snr_db / 10))

    estimate = measure(Recording((clean + noise).astype(np.float32), RATE)).snr_db

    assert abs(estimate - snr_db) < 2


def noisy(speech, snr_db):
    clean = speech.astype(np.float64)
    noise = np.random.default_rng(1).standard_normal(len(clean)) * np.sqrt(np.mean(clean**2) / 10 ** (snr_db / 10))
    return clean + noise


DITHER = np.random.default_rng(2).integers(-1, 2, RATE) / 2**16
PADDING = {
    "zeros": np.zeros(RATE),
    "a constant value, as of unsigned 8-bit samples": np.full(RATE, -1 / 128),
    "dither of less than a step of 16 bits": DITHER,
}


@pytest.mark.parametrize("padding", PADDING)
@pytest.mark.parametrize("snr_db", [5, 10, 20, 30])
def test_digital_silence_at_the_ends_does_not_change_the_estimated_signal_to_noise_ratio(speechlike, snr_db, padding):
    silence = PADDING[padding]
    sound = noisy(speechlike, snr_db)

    estimate = measure(Recording(np.concatenate([silence, sound, silence]).astype(np.float32), RATE)).snr_db

    assert abs(estimate - snr_db) < 2


@pytest.mark.parametrize("snr_db", [10, 20])
def test_an_offset_is_not_taken_for_noise(speechlike, snr_db):
    estimate = measure(Recording((noisy(speechlike, snr_db) + 0.3).astype(np.float32), RATE)).snr_db

    assert abs(estimate - snr_db) < 2


def test_a_ratio_beyond_what_rooms_have_is_given_as_the_largest_that_is_told(speechlike):
    loud = 4 * noisy(np.where(np.abs(speechlike) > 0.01, speechlike, 0), 75)

    assert measure(Recording(loud.astype(np.float32), RATE)).snr_db == MOST_SNR_DB == 60.0


def test_sound_between_digital_silence_that_is_too_short_has_no_ratio(speechlike):
    burst = np.concatenate([np.zeros(RATE), speechlike[: RATE // 5], np.zeros(RATE)])

    assert measure(Recording(burst, RATE)).snr_db is None


def test_studio_recordings_with_gated_ends_have_a_plausible_ratio(shared):
    archive = shared / "data" / "ravdess" / "Audio_Speech_Actors_01_20.zip"
    with zipfile.ZipFile(archive) as opened:
        names = [name for name in opened.namelist() if name.endswith(".wav")][::10]
        ratios = [measure(decode(opened.read(name))).snr_db for name in names]

    assert len(ratios) == 12
    assert all(10 < ratio <= 60 for ratio in ratios)
    assert np.median(ratios) < 55


def test_a_loud_sine_is_not_taken_for_clipping():
    assert clipped_share(np.sin(np.arange(RATE) * 0.3).astype(np.float32)) == 0


def test_lengths_of_silence_at_both_ends_are_measured_within_a_frame(speechlike):
    found = measure(
        Recording(np.concatenate([np.zeros(8_000), speechlike[:4_000], np.zeros(3_200)]).astype("f4"), RATE)
    )

    assert abs(found.leading - 0.5) <= 0.02
    assert abs(found.trailing - 0.2) <= 0.021


def of(path, content="0", label=None, **changes):
    signal = 0.1 * np.sin(np.arange(RATE) * (0.1 if content == "0" else 0.01 * (1 + ord(content[0]))))
    measures = measure(Recording(signal.astype(np.float32), changes.get("rate", RATE), changes.get("channels", 1)))
    return Measured(path, content, measures, label)


def together(*measured):
    return {finding.kind: finding for finding in findings_of(measured) if len(finding.paths) != 1}


def test_equal_files_and_equal_sound_in_different_files_are_told_apart():
    same_sound = Measured("c.flac", "f" * 64, of("a.wav").measures)

    found = together(of("a.wav"), of("b.wav"), same_sound)

    assert found["duplicate bytes"].paths == ("a.wav", "b.wav")
    assert found["duplicate sound"].paths == ("a.wav", "c.flac")


def duplicates(*signals, rate=RATE):
    """The kinds of duplicates among signals, each rounded to 16 bits and decoded as a file of its own."""
    measured = [
        Measured(f"{number}.wav", str(number), measure(decode(wav_of(signal, rate))))
        for number, signal in enumerate(signals)
    ]
    return [(one.kind, one.paths) for one in findings_of(tuple(measured)) if one.kind.startswith("duplicate")]


COPIES = {
    "another level": lambda x: 0.37 * x,
    "a level that is 34 dB lower": lambda x: 0.02 * x,
    "the other polarity": lambda x: -x,
    "zeros at the start": lambda x: np.concatenate([np.zeros(1_237), x]),
    "zeros at the end": lambda x: np.concatenate([x, np.zeros(7_001)]),
    "another level between zeros": lambda x: np.concatenate([np.zeros(333), 0.61 * x, np.zeros(40_000)]),
}


@pytest.mark.parametrize("copy", COPIES)
def test_one_recording_at_another_level_or_between_zeros_is_a_duplicate_recording(speechlike, copy):
    assert duplicates(speechlike, COPIES[copy](speechlike)) == [("duplicate recording", ("0.wav", "1.wav"))]


def test_what_a_tenth_of_other_sound_was_mixed_into_is_no_duplicate(speechlike):
    other = np.random.default_rng(3).standard_normal(len(speechlike)) * np.abs(speechlike).mean()

    assert duplicates(speechlike, speechlike + 0.3 * other, np.tile(speechlike, 2)) == []
    assert duplicates(*(0.2 * np.sin(np.arange(RATE) * 0.05 * (1 + n / 200)) for n in range(40))) == []


def test_equal_samples_are_told_once_and_not_as_a_duplicate_recording_too(speechlike):
    found = duplicates(speechlike, speechlike, 0.5 * speechlike)

    assert found == [("duplicate sound", ("0.wav", "1.wav")), ("duplicate recording", ("0.wav", "2.wav"))]


def test_real_recordings_of_one_speaker_are_no_duplicates_of_each_other(shared):
    with zipfile.ZipFile(shared / "data" / "ravdess" / "Audio_Speech_Actors_01_20.zip") as opened:
        names = [name for name in opened.namelist() if name.endswith(".wav")][:60]
        measured = tuple(Measured(name, name, measure(decode(opened.read(name)))) for name in names)

    assert [one.paths for one in findings_of(measured) if one.kind == "duplicate recording"] == []


def test_the_one_file_at_96_kilohertz_among_24_is_named():
    found = findings_of((*(of(f"{n}.wav", str(n), rate=24_000) for n in range(5)), of("odd.wav", "x", rate=96_000)))

    assert [(one.kind, one.paths) for one in found if one.kind == "rates"] == [("rates", ("odd.wav",))]


def test_stereo_files_among_mono_ones_are_named():
    found = findings_of((of("a.wav", "1"), of("b.wav", "2"), of("c.wav", "3", channels=2)))

    assert ("channels", ("c.wav",)) in [(one.kind, one.paths) for one in found]


def test_a_class_eleven_times_as_large_as_another_is_out_of_balance():
    many = [of(f"{n}.wav", chr(65 + n), "calm") for n in range(11)]

    assert "11 recordings of 'calm', 1 of 'angry'" in together(*many, of("z.wav", "z", "angry"))["class balance"].text
    assert "class balance" not in together(*many[:10], of("z.wav", "z", "angry"))


def test_a_folder_without_a_manifest_is_decoded_file_by_file(tmp_path, speechlike):
    (tmp_path / "good.wav").write_bytes(wav_of(speechlike))
    (tmp_path / "good.flac").write_bytes(flac_of(speechlike))
    (tmp_path / "cut.flac").write_bytes(flac_of(speechlike)[:-100])
    (tmp_path / "text.mp3").write_bytes(b"no sound")
    (tmp_path / "notes.txt").write_bytes(b"not looked at")

    check = check_audio(sound_files(FolderSource(tmp_path)), jobs=2)

    assert [one.path for one in check.measured] == ["good.flac", "good.wav"]
    assert [one.path for one in check.rejected] == ["cut.flac", "text.mp3"]
    assert check.files == 4
    assert "duplicate sound" in {one.kind for one in check.findings}


def test_the_order_of_work_changes_nothing(speechlike):
    files = {f"{n:02}.flac": flac_of(speechlike * (1 - 0.01 * n)) for n in range(12)}
    source = MemorySource("memory", files)

    assert check_audio(sound_files(source), jobs=1) == check_audio(sound_files(source), jobs=3)


def test_an_empty_folder_has_no_summary_and_no_finding(tmp_path):
    check = check_audio(sound_files(FolderSource(tmp_path)))

    assert (check.files, check.summary, check.rows()) == (0, {}, [])


@pytest.mark.parametrize(("name", "answer"), [("a.WAV", True), ("x/b.m4a", True), ("c.txt", False)])
def test_audio_is_told_by_the_ending(name, answer):
    assert looks_like_audio(name) is answer
