"""Networks as chains of standard layers for one clip, normalisation inside: what other runtimes can compute.

The networks themselves mask padding, join clips and reorder layers for speed. Of one clip that is not padded they
compute what these layers do, up to float32's rounding; batch norm is part of the filters.
"""

# mypy: disable-error-code="arg-type, attr-defined, dict-item, no-untyped-call"
# (of parts of networks, which torch does not type; TorchScript reads `type:` comments in functions as its own)

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F  # noqa: N812 (the usual name)
from torch import Tensor, nn

from featurestore.errors import SpecError
from models.batches.normalisation import LOST, Normalisation
from models.layers.convolution import ConvBlock, LocalFeatureBlock, MaskedBatchNorm
from models.networks.digits import FRAMES, DigitsBase
from models.networks.mathworks import TIME_STRIDE, MathworksCnnLstm
from models.networks.tdnn import LEAST_VARIANCE, Tdnn
from models.networks.zhao import Zhao2d
from models.runs.run import Run


class Classifier(nn.Module):
    """A run's network and its normalisation: `features [1, frames, bands]`, float32, to `[1, classes]`."""

    def __init__(self, normalise: nn.Module, network: nn.Module) -> None:
        super().__init__()
        self.normalise = normalise
        self.network = network

    def forward(self, features: Tensor) -> Tensor:
        """Return the probability of each class."""
        logits: Tensor = self.network(self.normalise(features))
        return logits.softmax(1)


class Standardise(nn.Module):
    """Subtract fitted means and divide by fitted deviations, `[1, 1, bands]` both."""

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.mean = nn.Buffer(mean.float().view(1, 1, -1))
        self.deviation = nn.Buffer(deviation.float().view(1, 1, -1))

    def forward(self, features: Tensor) -> Tensor:
        """Return the features normalised."""
        return (features - self.mean) / self.deviation


class StandardiseUtterance(nn.Module):
    """Bring a clip to mean 0 and deviation 1 for each band, or with `single` as a whole; a constant one to 0."""

    def __init__(self, *, single: bool) -> None:
        super().__init__()
        self.axes = [1, 2] if single else [1]
        self.lost = LOST

    def forward(self, features: Tensor) -> Tensor:
        """Return the features normalised; in float64, as in training."""
        values = features.double()
        mean = values.mean(self.axes, keepdim=True)
        centred = values - mean
        deviation = centred.square().mean(self.axes, keepdim=True).sqrt()
        deviation = torch.where(deviation <= self.lost * mean.abs(), torch.ones_like(deviation), deviation)
        return (centred / deviation).float()


class AtLeast(nn.Module):
    """Lengthen a clip with zeros to some number of frames."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.frames = frames

    def forward(self, features: Tensor) -> Tensor:
        """Map `[1, frames, bands]` to one of `self.frames` frames or more."""
        frames, least = features.size(1), self.frames
        wanted = max(frames, least) if torch.jit.is_scripting() else torch.sym_max(frames, least)
        return F.pad(features, [0, 0, 0, wanted - frames])


class OfLength(nn.Module):
    """Cut a clip, or lengthen it with its own least value, to a number of frames."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.frames = frames

    def forward(self, features: Tensor) -> Tensor:
        """Map `[1, frames, bands]` to `[1, self.frames, bands]`."""
        clip = features[:, : self.frames]
        floor = clip.amin((1, 2), keepdim=True).expand(1, self.frames, clip.size(2))
        return torch.cat([clip, floor], 1)[:, : self.frames]


class Image(nn.Module):
    """Lay a clip out as an image of one channel, `[1, 1, frames, bands]`, or with the bands first."""

    def __init__(self, *, bands_first: bool) -> None:
        super().__init__()
        self.bands_first = bands_first

    def forward(self, features: Tensor) -> Tensor:
        """Map `[1, frames, bands]` to an image."""
        return (features.transpose(1, 2) if self.bands_first else features).unsqueeze(1)


class Steps(nn.Module):
    """Lay an image out as steps along one of its axes, `[1, steps, values]`."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.order = [0, axis, 1, 5 - axis]

    def forward(self, images: Tensor) -> Tensor:
        """Map `[1, channels, height, width]` to steps along `axis`, 2 or 3."""
        return images.permute(self.order).flatten(2)


class LastState(nn.Module):
    """The output of an LSTM at its last step."""

    def __init__(self, lstm: nn.LSTM) -> None:
        super().__init__()
        self.lstm = lstm

    def forward(self, steps: Tensor) -> Tensor:
        """Map `[1, steps, values]` to `[1, units]`."""
        outputs, _ = self.lstm(steps)
        last: Tensor = outputs[:, -1]
        return last


class PlainTdnn(nn.Module):
    """The network `tdnn` of one clip."""

    def __init__(self, network: Tdnn) -> None:
        super().__init__()
        self.first = nn.Sequential(_folded(network.first.conv, network.first.norm), nn.ReLU())
        self.blocks = nn.ModuleList(
            nn.Sequential(_folded(block.conv, block.norm), nn.ReLU()) for block in network.blocks
        )
        self.attend, self.classify = network.attend, network.classify
        self.least_variance = LEAST_VARIANCE

    def forward(self, features: Tensor) -> Tensor:
        """Map `[1, frames, bands]` to logits `[1, classes]`."""
        frames = self.first(features.transpose(1, 2))
        for block in self.blocks:
            frames = frames + block(frames)
        frames = frames.transpose(1, 2)
        weights = self.attend(frames).softmax(1)
        mean = (weights * frames).sum(1)
        variance = (weights * (frames - mean.unsqueeze(1)).square()).sum(1)
        logits: Tensor = self.classify(torch.cat([mean, (variance + self.least_variance).sqrt()], 1))
        return logits


def _folded(conv: nn.Conv1d | nn.Conv2d, norm: MaskedBatchNorm | None) -> nn.Module:
    """Return a convolution with a batch norm in its filters; one along time keeps the number of frames."""
    kernel, padding = conv.kernel_size, conv.padding
    if isinstance(conv, nn.Conv1d):
        padding = (conv.dilation[0] * (kernel[0] // 2),)
    found = type(conv)(conv.in_channels, conv.out_channels, kernel, padding=padding, dilation=conv.dilation)
    weight, bias = conv.weight.detach(), conv.bias.detach() if conv.bias is not None else torch.zeros(1)
    if norm is not None:
        scale = norm.weight.detach() * torch.rsqrt(norm.running_var + norm.eps)
        bias = (bias - norm.running_mean) * scale + norm.bias.detach()
        weight = weight * scale.view(-1, *[1] * (weight.ndim - 1))
    found.load_state_dict({"weight": weight, "bias": bias})
    return found


def _blocks(blocks: nn.Module, activation: Callable[[], nn.Module]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for block in blocks.children():
        if not isinstance(block, ConvBlock | LocalFeatureBlock):
            raise TypeError(f"{type(block).__name__} is no block of a convolution")
        layers += [_folded(block.conv, block.norm), activation(), nn.MaxPool2d(block.pool)]
    return layers


def _mathworks(network: nn.Module) -> nn.Module:
    kept = [AtLeast(TIME_STRIDE), Image(bands_first=False), *_blocks(network.blocks, nn.ReLU), Steps(2)]
    return nn.Sequential(*kept, LastState(network.lstm), network.classify)


def _zhao(network: nn.Module) -> nn.Module:
    kept = [OfLength(network.frames), Image(bands_first=True), *_blocks(network.blocks, nn.ELU), Steps(3)]
    if network.lstm is None:
        return nn.Sequential(*kept, nn.Flatten(1), network.dense, network.classify)
    return nn.Sequential(*kept, LastState(network.lstm), network.classify)


def _digits(network: nn.Module) -> nn.Module:
    kept = [OfLength(FRAMES), Image(bands_first=True), *_blocks(network.blocks, nn.ReLU), nn.Flatten(1)]
    answers = [network.classify, *([nn.Softmax(1)] if network.softmax else [])]
    return nn.Sequential(*kept, *answers)


PLAIN: Mapping[type[nn.Module], Callable[[nn.Module], nn.Module]] = {
    MathworksCnnLstm: _mathworks,
    Zhao2d: _zhao,
    DigitsBase: _digits,
    Tdnn: PlainTdnn,
}
"""How a network is laid out in standard layers."""
NAMES = ("mathworks-cnn-lstm", "zhao-2d", "zhao-2d-dense", "zhao-2d-modified", "digits-base", "tdnn")


def plain(run: Run) -> Classifier:
    """Return a run's network with its normalisation in standard layers.

    Raises
    ------
    SpecError
        If the network has no such form, or normalises each speaker, whose statistics are measured when it is used.
    """
    layout = PLAIN.get(type(run.model))
    if layout is None:
        raise SpecError(f"{run.config.model} cannot be exported; these networks can: {', '.join(NAMES)}.")
    known = run.normalisation
    if known is not None and known.kind == "speaker":
        raise SpecError(
            "a model that normalises each speaker cannot be exported, as it measures speakers when it is used: train "
            "with '--set normalisation=training'."
        )
    return Classifier(_normaliser(known), layout(run.model)).float().eval()


def _normaliser(known: Normalisation | None) -> nn.Module:
    if known is None:
        return nn.Identity()
    if known.kind == "utterance":
        return StandardiseUtterance(single=known.single)
    return Standardise(known.mean[0], known.deviation[0])
