"""Every perturbation, one class each, in the order in which they are applied.

What is done to a sound comes before what is done to its recording: the voice (pitch and duration, one synthesis), its
place in time, the room around it, noises in that room, the microphone's own noise, its gain, the user's own functions,
the level. VTLP acts on the spectrogram and is no part of the signal.
"""

from __future__ import annotations

from featurestore.perturbations.kind import registered
from featurestore.perturbations.peak import Peak
from featurestore.perturbations.pitch import Pitch
from featurestore.perturbations.recorded_noise import RecordedNoise
from featurestore.perturbations.reverberation import Reverberation
from featurestore.perturbations.shift import TimeShift
from featurestore.perturbations.stretch import Stretch
from featurestore.perturbations.volume import Volume
from featurestore.perturbations.vtlp import VocalTractLength
from featurestore.perturbations.white_noise import WhiteNoise

KINDS = registered(
    Pitch(),
    Stretch(),
    TimeShift(),
    Reverberation(),
    RecordedNoise(),
    WhiteNoise(),
    Volume(),
    VocalTractLength(),
    Peak(),
)
"""Every kind by the field of a policy that asks for it."""
RECORDINGS = {kind.name: kind.recordings for kind in KINDS.values() if kind.recordings}
"""Which field names the recordings that a perturbation takes in."""
