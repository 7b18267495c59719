"""Vocal tract length perturbation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featurestore.errors import SpecError
from featurestore.perturbations.kind import PerturbationKind

if TYPE_CHECKING:
    from featurestore.registry import Declared
    from featurestore.signal.copies import Copy


class VocalTractLength(PerturbationKind):
    """Vocal tract length perturbation: the warping factor of equation 1 (Etienne et al. 2018) below `vtlp_f0`."""

    place = 80
    name, unit, limits = "vtlp_alpha", "", (0.5, 2.0)
    said = "vocal tract warp {:.3f} (in the picture, not in the sound)"
    operation, version, libraries = "vtlp", 3, ("numba", "numpy")
    settings = (("vtlp_f0", 0.9, "Where the warp bends, as a share of the features' upper cut-off frequency."),)
    bends = True
    in_torch = True

    def check(self, policy: Declared) -> None:
        """Refuse a bend outside of the axis."""
        if not 0 < policy.vtlp_f0 < 1:
            raise SpecError(f"vtlp_f0 must lie between 0 and 1, not {policy.vtlp_f0:g}.")

    def check_rows(self, policy: Declared) -> None:
        """Refuse a warp that would fold the axis."""
        largest = max(policy.vtlp_alpha.values)
        if largest * policy.vtlp_f0 >= 1:
            raise SpecError(
                f"vtlp_alpha {largest:g} moves vtlp_f0 {policy.vtlp_f0:g} beyond the highest frequency, so "
                "that the warp would fold: vtlp_alpha * vtlp_f0 must lie below 1."
            )

    def apply(self, value: float, copy: Copy) -> None:
        """Tell the transform how to warp."""
        copy.warping = (value, copy.policy.vtlp_f0)
