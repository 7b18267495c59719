r"""A feature of one's own: the frames of a self-supervised speech encoder, read from a local torch checkpoint.

The encoder is the convolutional part of wav2vec 2.0 in miniature: layers of convolution, layer norm and GELU over the
waveform. Its checkpoint is a safetensors file with `conv.N.weight [out, in, kernel]`, `conv.N.bias [out]` and
`norm.N.weight [out]`, `norm.N.bias [out]` for each layer N, such as a training of your own leaves behind. For another
encoder, change `Encoder` and raise `version` in `embedding.toml`.

The rows' address holds the checkpoint's sha256, not its place, so a file can move and another file is another feature:

    export PYTHONPATH=docs/examples EMBEDDING_CHECKPOINT=encoder.safetensors
    featurestore build emodb --features docs/examples/embedding.toml --trust-code embedding \
        --set settings.sha256=$(sha256sum encoder.safetensors | cut -c1-64)

References
----------
Baevski et al. (2020), "wav2vec 2.0: a framework for self-supervised learning of speech representations".
"""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from itertools import count, takewhile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load
from torch import Tensor, nn

from featurestore.errors import AudioError, SpecError

CHECKPOINT = "EMBEDDING_CHECKPOINT"
"""Environment variable that says where the checkpoint lies on this machine."""


def embed(signal: NDArray[np.float32], rate: int, *, sha256: str, strides: str) -> NDArray[np.float32]:
    """Return the encoder's frames of a signal, array [frames, channels].

    Parameters
    ----------
    signal : array [time], float32
        Brought to mean 0 and variance 1, as the encoder was trained.
    rate : int
        Samples a second; `embedding.toml` fixes it.
    sha256 : str
        Checksum of the checkpoint, 64 hexadecimal digits.
    strides : str
        Step of each layer in samples of its input, such as `5,4,4`.

    Raises
    ------
    AudioError
        If the signal is shorter than the encoder's window: this recording is left out and the build goes on.
    SpecError
        If the checkpoint is not there or is another one: the build stops.
    """
    encoder = open_encoder(sha256, strides)
    if len(signal) < encoder.window:
        raise AudioError(f"shorter than the encoder's window: {len(signal)} samples, it needs {encoder.window}.")
    normal = (signal - signal.mean()) / np.sqrt(signal.var() + 1e-7)
    with torch.inference_mode():
        return encoder(torch.from_numpy(normal)).numpy()


@lru_cache(maxsize=1)
def open_encoder(sha256: str, strides: str) -> Encoder:
    """Read the checkpoint once in each worker, and only if it is the one that the spec names."""
    place = Path(os.environ.get(CHECKPOINT, ""))
    if not place.is_file():
        raise SpecError(f"no checkpoint at {str(place)!r}: set {CHECKPOINT} to its path.")
    data = place.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise SpecError(f"{str(place)!r} has sha256 {found}, not {sha256}: give --set settings.sha256={found}.")
    return Encoder(load(data), [int(stride) for stride in strides.split(",")]).eval()


class Encoder(nn.Module):
    """Layers of convolution, layer norm over the channels and GELU.

    Parameters
    ----------
    weights : dict of str to Tensor
        As in the checkpoint.
    strides : list of int
        One a layer.
    """

    def __init__(self, weights: dict[str, Tensor], strides: list[int]) -> None:
        super().__init__()
        layers = list(takewhile(lambda n: f"conv.{n}.weight" in weights, count()))
        if len(layers) != len(strides):
            raise SpecError(f"the checkpoint has {len(layers)} layers and 'strides' names {len(strides)}.")
        shapes = [weights[f"conv.{n}.weight"].shape for n in layers]
        self.conv = nn.ModuleList(
            nn.Conv1d(entering, leaving, kernel, stride)
            for (leaving, entering, kernel), stride in zip(shapes, strides, strict=True)
        )
        self.norm = nn.ModuleList(nn.LayerNorm(leaving) for leaving, _, _ in shapes)
        self.load_state_dict(weights)

    @property
    def window(self) -> int:
        """Samples that the first frame hears."""
        heard = 1
        for conv in reversed(self.conv):
            heard = (heard - 1) * conv.stride[0] + conv.kernel_size[0]
        return heard

    def forward(self, signal: Tensor) -> Tensor:
        """Map `signal [time]` to `[frames, channels]`."""
        frames = signal[None, None]  # [1, channels, time]
        for conv, norm in zip(self.conv, self.norm, strict=True):
            frames = nn.functional.gelu(norm(conv(frames).transpose(1, 2)).transpose(1, 2))
        return frames[0].T.contiguous()
