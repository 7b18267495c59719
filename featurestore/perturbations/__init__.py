"""Every perturbation: one class in one file of this folder, which registers it. `place` orders their application.

What is done to a sound comes before what is done to its recording: the voice (pitch and duration, one synthesis), its
place in time, the room around it, noises in that room, the microphone's own noise, its gain, the user's functions, the
level. VTLP acts on the spectrogram and is no part of the signal.
"""

from __future__ import annotations

from featurestore.perturbations.kind import PerturbationKind
from featurestore.registry import kinds_in, registered

PERTURBATIONS: dict[str, PerturbationKind] = registered(
    sorted(kinds_in(__name__, PerturbationKind), key=lambda kind: kind.place)
)
"""Every kind by the field of a policy that asks for it."""
RECORDINGS = {kind.name: kind.recordings for kind in PERTURBATIONS.values() if kind.recordings}
"""Which field names the recordings that a perturbation takes in."""
