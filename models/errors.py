"""What can go wrong with runs and checkpoints."""

from __future__ import annotations

from featurestore.errors import ExitCode, FeatureStoreError


class TrainingError(FeatureStoreError):
    """A training that cannot start or continue: empty sides, labels that do not fit, a loss that is not finite."""


class RunError(FeatureStoreError):
    """A run folder that exists, is missing or is not finished."""


class CheckpointError(FeatureStoreError):
    """A checkpoint of another model, in another format, or one that cannot be read safely."""


class DamagedCheckpointError(CheckpointError):
    """A checkpoint whose bytes are not those that the run wrote."""

    exit_code = ExitCode.DAMAGE
