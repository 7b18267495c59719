"""The figures of a run, drawn without a display and without touching matplotlib's global state."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from matplotlib import colormaps, font_manager, rc_context, rcParams
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import get_font
from matplotlib.ticker import MaxNLocator

from featurestore.files import write_atomically
from models.figures.concordance import DISPLAY as CALLED
from models.figures.estimates import Estimates
from models.figures.metrics import DISPLAY, Confusion

History: TypeAlias = Sequence[Mapping[str, Any]]
"""The record of each epoch, as in `metrics.jsonl`."""
TRAIN, VALIDATION = "#3b6ea5", "#c8553d"
FORMS = ("png", "svg", "pdf")
"""Files that a figure can be; a run folder holds the first two."""
PLACEHOLDER = "Last Resort"
"""The font that draws a box for every letter that there is."""


def training_figure(history: History) -> Figure:
    """Draw loss and accuracy over epochs: training with the loss of single batches, validation after each epoch."""
    figure = new_figure(8.0, 3.4)
    loss, accuracy = figure.subplots(1, 2)
    _draw_training(loss, accuracy, history)
    _legend_above(figure, accuracy)
    return figure


def training_panels(history: History) -> tuple[Figure, Figure]:
    """Draw what `training_figure` shows as two figures, which a page can put one below the other."""
    panels = new_figure(4.4, 3.4), new_figure(4.4, 3.4)
    axes = [panel.subplots() for panel in panels]
    _draw_training(axes[0], axes[1], history)
    for panel, drawn in zip(panels, axes, strict=True):
        _legend_above(panel, drawn)
    return panels


def page_panels(history: History) -> tuple[Figure, ...]:
    """Draw the panels of a page: loss, accuracy and, where it was recorded, the learning rate."""
    recorded = any(record.get("learning_rate") is not None for record in history)
    return (*training_panels(history), *([learning_rate_figure(history)] if recorded else []))


def learning_rate_figure(history: History) -> Figure:
    """Draw the learning rate of the last step of each epoch."""
    figure = new_figure(4.4, 3.4)
    axes = figure.subplots()
    rates = [np.nan if record.get("learning_rate") is None else record["learning_rate"] for record in history]
    axes.plot([record["epoch"] for record in history], rates, color=TRAIN, marker="o", markersize=4)
    plain_axes(axes, "epoch", "learning rate")
    _whole_epochs(axes)
    axes.set_ylim(bottom=0)
    return figure


def curves_in_words(history: History) -> str:
    """Say where the curves of a training begin, lie lowest and end, for those who cannot see them."""
    said = []
    for side, name in (("train", "training"), ("validation", "validation")):
        for measure, shown in (("loss", "loss"), _drawn_measure(history)):
            known = [(record["epoch"], record[side][measure]) for record in history]
            known = [(epoch, value) for epoch, value in known if value is not None]
            if known:
                best = (min if measure == "loss" else max)(known, key=lambda one: one[1])
                said.append(
                    f"{name} {shown}: {known[0][1]:.3f} after epoch {known[0][0]}, {known[-1][1]:.3f} after epoch "
                    f"{known[-1][0]}, best {best[1]:.3f} after epoch {best[0]}"
                )
    rates = [record["learning_rate"] for record in history if record.get("learning_rate") is not None]
    if rates:
        said.append(f"learning rate: {rates[0]:.3g} at first, at most {max(rates):.3g}, {rates[-1]:.3g} at the end")
    return "; ".join(said)


def axis_of(figure: Figure) -> str:
    """Return what a figure with one pair of axes shows: `loss over epoch`."""
    axes = figure.axes[0]
    return f"{axes.get_ylabel()} over {axes.get_xlabel()}"


def _drawn_measure(history: History) -> tuple[str, str]:
    """Return the measure that is drawn beside the loss, and what it is called: of dimensions the CCC."""
    of_classes = not history or "accuracy" in history[0]["validation"]
    return ("accuracy", DISPLAY["accuracy"]) if of_classes else ("ccc", CALLED["ccc"])


def _draw_training(loss: Axes, accuracy: Axes, history: History) -> None:
    steps = _reported_steps(history, "losses")
    loss.plot([time for time, _ in steps], [value for _, value in steps], color=TRAIN, alpha=0.3, linewidth=0.8)
    epochs = [record["epoch"] for record in history]
    for axes, name, shown in ((loss, "loss", "loss"), (accuracy, *_drawn_measure(history))):
        for side, label, colour in (("train", "training", TRAIN), ("validation", "validation", VALIDATION)):
            values = [np.nan if record[side][name] is None else record[side][name] for record in history]
            axes.plot(epochs, values, color=colour, marker="o", markersize=4, label=label)
        plain_axes(axes, "epoch", shown)
        _whole_epochs(axes)
    loss.set_ylim(bottom=0)
    accuracy.set_ylim(None if accuracy.get_ylim()[0] < 0 else 0, 1)  # a CCC can be below 0


def _whole_epochs(axes: Axes) -> None:
    """Begin at the start of the training and mark whole epochs alone."""
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))


def _legend_above(figure: Figure, axes: Axes) -> None:
    """Name the curves above the axes, where no curve can be."""
    figure.legend(*axes.get_legend_handles_labels(), frameon=False, loc="outside upper right", ncols=2)


def _reported_steps(history: History, entry: str) -> list[tuple[float, Any]]:
    """Return when each reported step was, in epochs, and what it reported."""
    return [
        (record["epoch"] - 1 + step / max(record[entry][-1][0], 1), value)
        for record in history
        for step, value in record.get(entry, [])
    ]


def confusion_figure(confusion: Confusion, classes: Sequence[str], title: str = "") -> Figure:
    """Draw counts `[true, predicted]`, shaded by the share of each true class."""
    size = 2.2 + 0.52 * len(classes)
    figure = new_figure(size + 0.6, size)
    axes = figure.subplots()
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    edges = np.arange(len(classes) + 1) - 0.5
    axes.pcolormesh(edges, edges, shares, cmap="Blues", vmin=0, vmax=1)  # squares: an image would be no vector graphic
    axes.invert_yaxis()
    axes.set_aspect("equal")
    for (row, column), count in np.ndenumerate(confusion):
        colour = "white" if shares[row, column] > 0.55 else "#333333"
        axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=9)
    places, fonts = range(len(classes)), list(fonts_for("".join(classes)))
    for tick in (*axes.set_xticks(places, classes, rotation=45, ha="right"), *axes.set_yticks(places, classes)):
        tick.label1.set(parse_math=False, fontfamily=fonts)  # a name may hold dollar signs
    plain_axes(axes, "predicted", "true")
    axes.set_title(title, fontsize=10)
    return figure


def estimates_figure(estimates: Estimates, title: str = "") -> Figure:
    """Draw the estimate of each item over the truth, a pair of axes for each dimension; on the line they agree."""
    figure = new_figure(3.2 * len(estimates.dimensions), 3.4)
    every = figure.subplots(1, len(estimates.dimensions), squeeze=False)[0]
    for axes, name, truth, found in zip(
        every, estimates.dimensions, estimates.truth.T, estimates.estimated.T, strict=True
    ):
        both = np.concatenate([truth, found])
        ends = [both.min(), both.max()] if len(both) else [0, 1]
        axes.plot(ends, ends, color="#999999", linewidth=0.8)
        axes.scatter(truth, found, 9, color=TRAIN, alpha=0.5, linewidths=0)
        axes.set_aspect("equal")
        plain_axes(axes, f"{name}, true", "estimated")
    figure.suptitle(title, fontsize=10)
    return figure


def matrix_figure(values: Sequence[Sequence[float | None]], names: Sequence[str], title: str = "") -> Figure:
    """Draw shares `[train, test]` of 0 to 1 between datasets, shaded by their size; a dash where there is none."""
    size = 2.6 + 0.9 * len(names)
    figure = new_figure(size + 0.6, size)
    axes = figure.subplots()
    shares = np.array([[np.nan if value is None else value for value in row] for row in values], float)
    edges = np.arange(len(names) + 1) - 0.5
    axes.pcolormesh(edges, edges, np.ma.masked_invalid(shares), cmap="Blues", vmin=0, vmax=1)
    axes.invert_yaxis()
    axes.set_aspect("equal")
    for (row, column), share in np.ndenumerate(shares):
        said = "–" if np.isnan(share) else f"{share:.3f}"
        axes.text(column, row, said, ha="center", va="center", color="white" if share > 0.55 else "#333333")
    places = range(len(names))
    for tick in (*axes.set_xticks(places, names, rotation=45, ha="right"), *axes.set_yticks(places, names)):
        tick.label1.set(parse_math=False)
    plain_axes(axes, "tested on", "trained on")
    axes.set_title(title, fontsize=10)
    return figure


def curve_figure(
    values: Sequence[int], means: Sequence[float], bounds: Sequence[Sequence[float] | None], x: str
) -> Figure:
    """Draw a learning curve: the UAR at each value, with its interval where there is one."""
    figure = new_figure(5.0, 3.4)
    axes = figure.subplots()
    axes.plot(values, means, color=TRAIN, marker="o", markersize=4)
    for value, interval in zip(values, bounds, strict=True):
        if interval is not None:
            axes.plot([value, value], interval, color=TRAIN, linewidth=1.2, alpha=0.5)
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    plain_axes(axes, x, DISPLAY["uar"])
    return figure


def gradient_norms_figure(history: History) -> Figure:
    """Draw the norm of each layer's gradient over a training on a logarithmic axis: pale in single steps, then means.

    References
    ----------
    Etienne et al., "CNN+LSTM architecture for speech emotion recognition with data augmentation", 2018, figure 3.
    """
    records = [record for record in history if record.get("gradient_norms")]
    layers = list(records[0]["gradient_norms"]) if records else []
    figure = new_figure(8.0, max(3.2, 0.22 * len(layers)))
    axes = figure.subplots()
    epochs, steps = [record["epoch"] for record in records], _reported_steps(records, "gradient_norm_steps")
    for number, layer in enumerate(layers):
        colour = colormaps["viridis"](number / max(len(layers) - 1, 1) * 0.92)  # first layers dark, last ones light
        norms = [values[number] or np.nan for _, values in steps]
        axes.plot([time for time, _ in steps], norms, color=colour, alpha=0.3, linewidth=0.8)
        means = [record["gradient_norms"][layer] or np.nan for record in records]
        axes.plot(epochs, means, color=colour, marker="o", markersize=3, label=layer)
    axes.set_yscale("log", nonpositive="mask")
    _whole_epochs(axes)
    plain_axes(axes, "epoch", "norm of the gradient")
    figure.legend(frameon=False, fontsize=8, loc="outside right upper")
    return figure


@dataclass(frozen=True)
class TrainingFigure:
    """A figure of the course of a training: a file in the run folder, and a part of the report."""

    file: str
    """Name without its ending."""
    caption: str
    draw: Callable[[History], Figure]
    panels: Callable[[History], Sequence[Figure]] | None = None
    """What a page shows in its place, side by side where there is room."""
    needs: str = ""
    """Entry of an epoch's record without which there is nothing to draw."""


TRAINING_FIGURES = (
    TrainingFigure("training", "Training; pale: single batches", training_figure, page_panels),
    TrainingFigure(
        "gradient-norms",
        "Norm of the gradient with respect to each layer's parameters; pale: single steps",
        gradient_norms_figure,
        needs="gradient_norms",
    ),
)
"""All of them, in the order of the report."""


def figures_of(history: History) -> list[TrainingFigure]:
    """Return the figures for which a training has something to draw."""
    return [one for one in TRAINING_FIGURES if not one.needs or any(record.get(one.needs) for record in history)]


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of so many inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def plain_axes(axes: Axes, x: str, y: str) -> None:
    """Name the axes, and draw no lines that show nothing."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)


def fonts_for(text: str) -> dict[str, str]:
    """Return the font of figures and, for letters that it lacks, installed ones that have some: files by name."""
    usual = rcParams["font.sans-serif"][0]
    fonts = {usual: str(font_manager.findfont(usual))}
    missing = _without(text, *fonts.values())
    for entry in font_manager.fontManager.ttflist if missing else ():
        left = _without(missing, entry.fname)
        if len(left) < len(missing) and not entry.name.startswith(PLACEHOLDER):
            missing, fonts[entry.name] = left, entry.fname
    return fonts


def _without(text: str, *fonts: str) -> str:
    """Return the letters of a text that none of these font files can draw."""
    known = {code for font in fonts for code in get_font(font).get_charmap()}
    return "".join(sorted({letter for letter in text if ord(letter) not in known and not letter.isspace()}))


@contextmanager
def _quiet_fonts() -> Iterator[None]:
    """Draw without a line for each font that has no normal weight: many of the letters of Asia have none."""
    logger = logging.getLogger("matplotlib.font_manager")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def figure_svg(figure: Figure, title: str = "", description: str = "") -> str:
    """Return a figure as an `<svg>` element whose letters stay text; equal figures give equal elements.

    Parameters
    ----------
    figure : Figure
    title, description : str
        What a screen reader says in its place, where it is part of a page.
    """
    text = io.StringIO()
    with (
        rc_context({"svg.hashsalt": "featurestore", "svg.fonttype": "none"}),
        warnings.catch_warnings(),
        _quiet_fonts(),
    ):
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # it is the reader's font that draws them
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    svg = text.getvalue()[text.getvalue().index("<svg") :]
    if not title:
        return svg
    said = f"<title>{escape(title)}</title><desc>{escape(description)}</desc>"
    return svg.replace("<svg", "<svg role='img'", 1).replace(">", f">{said}", 1)


def write_figure(figure: Figure, path: Path, image: Figure | None = None, forms: Sequence[str] = FORMS[:2]) -> None:
    """Write a figure as `path.png`, `path.svg` and the like; `image` replaces it where letters are drawn here.

    Its text stays text in an SVG file, and its letters can be edited in a PDF file. Equal figures give equal files.
    """
    drawn = image or figure
    for form, settings in (("png", {"dpi": 150}), ("pdf", {"metadata": {"CreationDate": None}})):
        if form in forms:
            file = io.BytesIO()
            with rc_context({"pdf.fonttype": 42}), _quiet_fonts():
                drawn.savefig(file, format=form, **settings)
            write_atomically(path.with_suffix(f".{form}"), file.getvalue())
            drawn.set_layout_engine("none")  # it is laid out, which takes as long as drawing it
    write_atomically(path.with_suffix(".svg"), figure_svg(figure).encode())


def write_confusion(
    confusion: Confusion, classes: Sequence[str], title: str, path: Path, forms: Sequence[str] = FORMS[:2]
) -> None:
    """Write a confusion matrix; where letters are drawn here, a class whose name no font has is shown by its number."""
    drawable = [
        f"class {number}" if _without(name, *fonts_for(name).values()) else name
        for number, name in enumerate(classes, start=1)
    ]
    image = None if drawable == list(classes) else confusion_figure(confusion, drawable, title)
    write_figure(confusion_figure(confusion, classes, title), path, image, forms)
