"""Recordings from standard input and through ffmpeg, answers of several runs together, and the page of answers."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape

import numpy as np
import pytest
import soundfile
from browser import opened
from click.testing import CliRunner
from small_training import small_config, small_sides

from cli.main import featurestore
from featurestore.errors import AudioError, FeatureStoreError, MissingPackageError
from featurestore.signal import ffmpeg
from featurestore.signal.audio import decode
from models.errors import RunError
from models.prediction import STANDARD_INPUT, _standard_input, check_alike, load_members, predict_files
from models.reports.timeline import bounds, marks, write_timelines
from models.training import train

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the program ffmpeg")


@pytest.fixture(scope="module")
def folds(tmp_path_factory):
    """A folder of two folds of the same classes and features."""
    place, sides = tmp_path_factory.mktemp("together") / "folds", small_sides()
    for number in (1, 2):
        train(sides, small_config(sides, seed=number, epochs=1), place / f"fold-{number:02d}", device="cpu")
    return place


@pytest.fixture
def talk(tmp_path):
    """Three seconds of noise with a silent second in the middle."""
    signal = 0.1 * np.random.default_rng(0).standard_normal(48_000)
    signal[16_000:32_000] = 0
    soundfile.write(tmp_path / "talk.wav", signal, 16_000, subtype="FLOAT")
    return tmp_path / "talk.wav"


@pytest.fixture(autouse=True)
def fresh_input():
    _standard_input.cache_clear()


def in_container(path, container, codec, rate=48_000, seconds=2.0):
    """A tone of 440 Hz as ffmpeg writes it; `path` has what it was made of beside it."""
    time = np.arange(int(rate * seconds)) / rate
    soundfile.write(path.with_suffix(".wav"), 0.3 * np.sin(2 * np.pi * 440 * time), rate)
    words = ["-v", "error", "-y", "-i", path.with_suffix(".wav"), "-c:a", codec, "-strict", "-2", "-f", container, path]
    subprocess.run(["ffmpeg", *map(str, words)], check=True)
    return path


def test_folds_answer_together_by_the_mean_of_their_probabilities(folds, talk):
    runs = load_members(folds)
    alone = [predict_files(run, [talk], "cpu", window=1.0)[0] for run in runs]
    (together,) = predict_files(runs, [talk], "cpu", window=1.0)

    assert len(runs) == 2
    assert alone[0]["probabilities"] != alone[1]["probabilities"]
    for place, window in enumerate(together["timeline"]):
        for name, share in window["probabilities"].items():
            assert share == np.mean([one["timeline"][place]["probabilities"][name] for one in alone])
    assert together["timeline"][1]["label"] is None  # silent
    assert together["label"] == max(together["probabilities"], key=together["probabilities"].__getitem__)


def test_runs_of_other_classes_and_what_is_no_run_are_named(folds, tmp_path):
    shutil.copytree(folds, tmp_path / "folds")
    config = tmp_path / "folds" / "fold-02" / "config.json"
    config.write_text(config.read_text().replace('"sharp"', '"soft"'))

    with pytest.raises(FeatureStoreError, match=r"fold-02"):  # another config.json than its weights were made with
        load_members(tmp_path / "folds")
    one, other = load_members(folds)
    with pytest.raises(RunError, match=r"fold-02 and .*fold-01 have different classes: they cannot answer together"):
        check_alike([one, replace(other, config=replace(other.config, classes=("calm", "loud", "soft")))])
    with pytest.raises(RunError, match=r"nowhere"):
        load_members(tmp_path / "nowhere")


def test_standard_input_is_labelled_as_the_file_that_it_holds(folds, talk):
    told = ["predict", str(folds), "--device", "cpu", "--json"]
    from_file = json.loads(CliRunner().invoke(featurestore, [*told, str(talk)]).stdout)
    done = CliRunner().invoke(featurestore, [*told, "-"], input=talk.read_bytes())

    assert done.exit_code == 0
    (answer,) = json.loads(done.stdout)
    assert answer == {**from_file[0], "file": "-"}


def test_an_empty_standard_input_is_a_line(folds):
    from cli.main import run as run_command

    done = CliRunner().invoke(featurestore, ["predict", str(folds), "-", "--device", "cpu"], input=b"")
    assert isinstance(done.exception, AudioError)
    assert str(done.exception) == "-: the file is empty."
    assert run_command(["predict", str(folds.parent / "none"), "-"]) == 1


def test_the_page_has_each_probability_and_a_player_that_sounds_like_the_recording(folds, talk, tmp_path):
    runs, page = load_members(folds), tmp_path / "talk.html"
    (tmp_path / "<b>.wav").write_bytes(talk.read_bytes())
    files = [talk, tmp_path / "<b>.wav"]
    answers = predict_files(runs, files, "cpu", window=1.0)
    write_timelines(page, runs, files, answers, ffmpeg=False)
    text = page.read_text()

    shares = [float(one) for one in re.findall(r"--share:([\d.]+)", text.partition("</style>")[2])]
    windows = [window for answer in answers for window in answer["timeline"] if window["label"]]
    names = list(answers[0]["probabilities"])
    wanted = [
        window["probabilities"][name]
        for answer in answers
        for name in names
        for window in answer["timeline"]
        if window["label"]
    ]
    assert len(windows) == 4
    assert shares == pytest.approx(wanted, abs=0.0006)
    sounds = re.findall(r'src="(data:audio/flac;base64,[^"]+)"', text)
    assert len(sounds) == 2
    heard, rate = soundfile.read(io.BytesIO(base64.b64decode(unescape(sounds[0]).partition(",")[2])))
    assert rate == 16_000
    np.testing.assert_allclose(
        heard, soundfile.read(talk)[0], atol=2e-4 * max(1, np.abs(soundfile.read(talk)[0]).max())
    )
    assert "silent" in text
    assert "<b>.wav" not in text
    assert "http" not in re.sub(r"data:[^\"']+", "", text).replace("http-equiv", "")


@pytest.mark.parametrize("width", [360, 1200])
def test_a_click_on_a_lane_moves_the_player_there(folds, talk, tmp_path, width):
    runs, page = load_members(folds), tmp_path / "talk.html"
    write_timelines(page, runs, [talk], predict_files(runs, [talk], "cpu", window=1.0), ffmpeg=False)

    with opened(
        page, viewport={"width": width, "height": 900}, color_scheme="dark" if width == 360 else "light"
    ) as shown:
        assert shown.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        box = shown.locator(".strip").first.bounding_box()
        shown.mouse.click(box["x"] + box["width"] / 3, box["y"] + box["height"] / 2)
        assert shown.evaluate("document.querySelector('audio').currentTime") == pytest.approx(1.0, abs=0.05)
        head = shown.locator(".head").bounding_box()
        assert head["x"] == pytest.approx(box["x"] + box["width"] / 3, abs=3)


def test_cells_of_windows_meet_in_the_middle_and_marks_are_few():
    windows = [{"start": start, "end": start + 2} for start in (0, 0.5, 1.0)]
    assert bounds(windows) == [0, 1.25, 1.75, 3.0]
    assert bounds(windows[:1]) == [0, 2]
    for seconds in (0.05, 0.7, 6, 61, 599):
        assert 1 <= len(marks(seconds)) <= 7
        assert marks(seconds)[-1] <= seconds


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "container", "codec"), [("a.m4a", "mp4", "aac"), ("a.webm", "webm", "libopus"), ("a.wma", "asf", "wmav2")]
)
def test_what_only_ffmpeg_reads_sounds_as_it_was(tmp_path, name, container, codec):
    path = in_container(tmp_path / name, container, codec)
    with pytest.raises(AudioError):
        decode(path.read_bytes())
    found = decode(ffmpeg.converted(path.read_bytes()))

    assert found.rate == 48_000
    assert len(found.signal) == pytest.approx(96_000, abs=5_000)
    spectrum = np.abs(np.fft.rfft(found.signal[20_000:68_000]))
    assert int(spectrum.argmax()) == 440
    assert np.std(found.signal[20_000:68_000]) == pytest.approx(0.3 / np.sqrt(2), rel=0.1)


@needs_ffmpeg
def test_amr_has_its_frames_of_20_milliseconds():
    found = decode(ffmpeg.converted(b"#!AMR\n" + 50 * (b"\x3c" + bytes(31))))
    assert (found.rate, len(found.signal)) == (8_000, 8_000)


@needs_ffmpeg
def test_ffmpeg_is_asked_for_and_only_then_started(folds, tmp_path):
    path = in_container(tmp_path / "a.m4a", "mp4", "aac", 16_000)
    (tmp_path / "a.wav").unlink()
    told = ["predict", str(folds), str(tmp_path), "--device", "cpu"]

    refused = CliRunner().invoke(featurestore, [*told[:2], str(path), *told[3:]])
    assert "of the format mov, which only ffmpeg reads: give --ffmpeg, or convert it" in str(refused.exception)
    done = CliRunner().invoke(featurestore, [*told, "--ffmpeg", "--json"])
    assert done.exit_code == 0
    assert [one["file"] for one in json.loads(done.stdout)] == [str(path)]


@needs_ffmpeg
@pytest.mark.parametrize("damage", ["cut", "noise", "playlist"])
def test_what_ffmpeg_does_not_read_is_a_line(tmp_path, damage):
    data = in_container(tmp_path / "a.m4a", "mp4", "aac").read_bytes()
    noise = np.random.default_rng(0).bytes(5_000)
    playlist = b"#EXTM3U\nfile:///etc/passwd\n"
    data = {"cut": data[:200], "noise": data[:12] + noise, "playlist": data[:12] + playlist}[damage]

    with pytest.raises(AudioError, match="ffmpeg does not read it"):
        ffmpeg.converted(data)


@needs_ffmpeg
def test_ffmpeg_ends_at_its_limits(tmp_path, monkeypatch):
    data = in_container(tmp_path / "a.webm", "webm", "libopus", seconds=4.0).read_bytes()
    monkeypatch.setattr(ffmpeg, "LARGEST", 51_200)
    with pytest.raises(AudioError, match="ffmpeg"):
        ffmpeg.converted(data)
    monkeypatch.undo()
    monkeypatch.setattr(ffmpeg, "MAX_SECONDS", 1.0)
    # about a second too long, so that its reader refuses it and it is not cut unseen
    assert len(decode(ffmpeg.converted(data)).signal) == pytest.approx(2 * 48_000, abs=1_000)


def test_without_ffmpeg_one_line_says_what_to_do(folds, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    done = CliRunner().invoke(featurestore, ["predict", str(folds), "-", "--ffmpeg"], input=b"")

    assert isinstance(done.exception, MissingPackageError)
    assert "ffmpeg, which is not on the PATH: install it, or convert" in str(done.exception)
    assert STANDARD_INPUT.name == "stdin"
