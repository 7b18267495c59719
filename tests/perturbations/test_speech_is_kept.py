"""A copy keeps half of the energy of its clean row, and what the store says of it is what was done."""

from __future__ import annotations

import numpy as np
import pytest
from perturbations.sounds import RATE, content, decibels, response, wav, white

import featurestore
from featurestore.corpus.corpus import corpus_at
from featurestore.errors import AudioError, SpecError
from featurestore.rows.draws import draw
from featurestore.rows.engine import RowEngine
from featurestore.signal.audio import Recording
from featurestore.specs.augmentation import AugmentationSpec, Drawn
from featurestore.specs.features import FeatureSpec
from featurestore.specs.presets import policy

FEATURES = FeatureSpec(kind="waveform", rate=RATE, dtype="float32")
