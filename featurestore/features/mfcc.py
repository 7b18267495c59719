"""The kind `mfcc`: mel-frequency cepstral coefficients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from featurestore.features.kind import MEL, Rules, SpectralKind, Transform
from featurestore.registry import Declared


class Mfcc(SpectralKind):
    """The first `coefficients` of the orthonormal DCT-II of `logmel`."""

    name, fields = "mfcc", MEL
    settings = (
        (
            "coefficients",
            int,
            None,
            "Cepstral coefficients of `mfcc`, the 0th included, at most `mels`; None is librosa's 20.",
        ),
    )
    shared, operations = ("stft", "mel", "log"), (("dct", 2, ("numba", "numpy")),)

    def width(self, spec: Declared) -> int:
        """Return the number of coefficients."""
        return int(spec.coefficients)

    def rules(self, spec: Declared) -> Rules:
        """Yield the rules of a spectrum and of the coefficients."""
        yield from super().rules(spec)
        yield 1 <= spec.coefficients <= spec.mels, "coefficients must lie within 1 and mels"

    def completed(self, spec: Declared) -> Mapping[str, Any]:
        """Return the number of coefficients where a spec leaves it open."""
        return {"coefficients": min(20, spec.mels)} if spec.coefficients is None else {}

    def transform(self, spec: Any, rate: int) -> Transform:  # noqa: ANN401
        """Return the cosine transform of the log-mel spectrogram."""
        from featurestore.signal.cepstrum import Cepstrum

        return Cepstrum(spec, rate)
