"""The torch engine: augmentation and log-mel of many rows at a time, on a GPU. Nothing else here imports torch.

It computes what `featurestore.row_engine` computes, from the same specs, draws, windows, bands and noise counters.
Rounding differs, so its rows name their engine, `torch-1`, in their key, and the two never mix in a dataset.

Agreement with the processor's own engine, as natural logarithms: float32 rows differ by at most `TOLERANCE`, float16
rows by that or one unit in the last place, in less than `UNEQUAL` of their values. Measured on Emo-DB with the policy
`mathworks`: 2.5e-5 at most in float32, and 0.04 to 0.08 % of the float16 values. Signals without noise go down to
bands where only rounding is left: there the differences are largest (2.9e-4 measured).

A row has the same bits alone and among others, by construction: transforms and band sums run over pieces of a fixed
number of frames, phases add up as whole numbers, energies in float64, and nothing is added atomically. A test holds it
on the processor. On a GPU it is promised for one model of GPU, driver and torch; between two models, or a GPU and a
processor, only the agreement above.
"""

TOLERANCE = 1e-3
"""Largest difference of a log-mel value in float32."""
UNEQUAL = 0.005
"""Share of the float16 values that differ, by one unit in the last place or `TOLERANCE`."""
