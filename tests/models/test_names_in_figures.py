"""Class names of any script and with any sign are drawn as they are, and no figure can undo a training."""

import warnings

import numpy as np
import pytest
from fontTools.ttLib import TTFont
from matplotlib import font_manager

from models.reports.plots import fonts_for, write_confusion
from models.runs.run import load_run
from models.training import train
from models.training_loop import SilentTraining
from models.training_state import CHECKPOINT

COUNTS = np.array([[3, 1], [0, 4]])


@pytest.mark.parametrize(
    "names",
    [("$\\win$", "$"), ("a$b$", "$\\foo{$"), ("슬픔", "분노"), ("高興", "悲傷"), ("a_b^c", "<b>&"), ("👍", " ")],
)
def test_names_are_drawn_as_they_are_and_without_a_warning(names, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_confusion(COUNTS, names, "", tmp_path / "confusion")

    drawn = (tmp_path / "confusion.svg").read_text(encoding="utf-8")
    for name in names:
        assert name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in drawn
    assert (tmp_path / "confusion.png").stat().st_size > 1000


def test_a_font_that_has_no_normal_weight_is_used_without_a_word(tmp_path, caplog):
    font = TTFont(font_manager.findfont("DejaVu Sans"))
    font["OS/2"].usWeightClass = 500
    for number in (1, 4, 16):
        font["name"].setName("Medium Only", number, 3, 1, 0x409)
        font["name"].setName("Medium Only", number, 1, 0, 0)
    for letters in font["cmap"].tables:
        if letters.isUnicode():
            letters.cmap[0xE8FF] = "A"  # for private use: no other font has it
    font.save(tmp_path / "medium.ttf")
    known = list(font_manager.fontManager.ttflist)
    font_manager.fontManager.addfont(tmp_path / "medium.ttf")
    try:
        assert "Medium Only" in fonts_for("\ue8ff")
        write_confusion(COUNTS, ("joy", "\ue8ff"), "", tmp_path / "confusion")
    finally:
        font_manager.fontManager.ttflist = known

    assert not caplog.records


def test_in_an_image_a_class_that_no_font_can_draw_goes_by_its_number(tmp_path):
    unknown = "\U000e0fff"  # assigned to nothing
    assert len(fonts_for(unknown)) == 1
    write_confusion(COUNTS, ("joy", unknown), "", tmp_path / "unknown")
    write_confusion(COUNTS, ("joy", "class 2"), "", tmp_path / "numbered")

    assert (tmp_path / "unknown.png").read_bytes() == (tmp_path / "numbered.png").read_bytes()


class Obstacle(SilentTraining):
    """Puts a folder where a figure is to be written, as soon as the training is over."""

    def __init__(self, folder):
        self.folder, self.stages = folder, []

    def stage(self, name):
        self.stages.append(name)
        if name.startswith("evaluating"):
            (self.folder / "training.svg").mkdir()


def test_a_figure_that_cannot_be_written_leaves_a_complete_run(sides, configured, tmp_path):
    folder = tmp_path / "run"
    told = Obstacle(folder)
    train(sides, configured(epochs=1), folder, device="cpu", progress=told)

    assert "plots could not be drawn" in told.stages[-1]
    assert load_run(folder).summary["test"]["items"] > 0
    assert (folder / "predictions-test.csv").is_file()
    assert not (folder / CHECKPOINT).exists()
