"""A piece of a recorded noise, as long as the signal that it is added to."""

from __future__ import annotations

from featurestore.signal.arrays import Signal


def noise_start(position: float, noise_samples: int, samples: int) -> int:
    """Return the sample of a noise at which a piece begins.

    Parameters
    ----------
    position : float
        Drawn, in [0, 1).
    noise_samples : int
        Length of the noise.
    samples : int
        Length of the piece. Where the noise is at least as long, the piece lies whole in it; a shorter noise is
        repeated, and the piece may begin anywhere.
    """
    room = noise_samples - samples + 1 if noise_samples >= samples else noise_samples
    return int(position * room)


def cut_noise(noise: Signal, start: int, piece: Signal) -> None:
    """Write the samples of a noise from `start` on to a piece, array [time], beginning anew where the noise ends."""
    done = 0
    while done < len(piece):
        here = noise[start : start + len(piece) - done]
        piece[done : done + len(here)] = here
        done, start = done + len(here), 0
