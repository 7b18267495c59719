"""The model that comes with the package: a run folder like any other, with a card beside its weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from featurestore.specs.presets import read_toml

FOLDER = Path(__file__).resolve().parent / "emodb"
"""The run folder; its weights are safetensors, checked against the sha256 in its summary like those of any run."""


@dataclass(frozen=True)
class ModelCard:
    """What a person has to know of a model before using it: `card.toml` of its folder."""

    title: str
    network: str
    """What it reads and what it is made of, in words."""
    trained_on: str
    command: str
    """What trained it."""
    licence: str
    licence_url: str
    citation: str
    """The corpus, as its authors ask to be cited."""
    uar: float
    """Of a cross-validation with the same settings, leave one speaker out, all folds pooled."""
    accuracy: float
    interval: tuple[float, float]
    """95 % of the UAR, over speakers."""
    measured_by: str
    """The command, and what is to be known of the figure."""
    intended_use: str
    limits: str
    caution: str
    """One line for every reader of an answer."""

    @property
    def remarks(self) -> tuple[str, str]:
        """Two lines to show beside answers: whose model it is and how good, and the caution."""
        low, high = self.interval
        figure = f"UAR {self.uar:.2f} ({low:.2f} to {high:.2f}) on speakers it had not heard"
        return (
            f"pretrained model: {self.title} ({self.licence}; {self.citation}), {figure}.",
            f"caution: {self.caution}",
        )


def model_card() -> ModelCard:
    """Read the card."""
    fields = read_toml(FOLDER / "card.toml")
    return ModelCard(**{**fields, "interval": tuple(fields["interval"])})
