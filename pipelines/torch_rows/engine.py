"""Many rows at a time on one device: the engine that `pipelines.workers.engines` opens for rows of `torch-1`."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import torch

from featurestore.errors import AudioError, BuildError
from featurestore.perturbations.white_noise import SINGLE_BELOW_DB
from featurestore.row_engine import Draw, RowEngine
from featurestore.segments import WHOLE, Segment
from featurestore.signal.arrays import MAX_SECONDS, Row, is_finite
from featurestore.signal.recordings import DecodedRecording
from featurestore.specs.augmentation import AugmentationSpec, Perturbation
from featurestore.specs.features import FeatureSpec
from featurestore.specs.row_spec import TORCH, check_together
from pipelines.torch_rows.log_mel import TorchLogMel
from pipelines.torch_rows.signals import Batch, PitchShifter, perturbed

SAMPLES = {"cpu": 2**18, "cuda": 2**24}
"""Samples of a batch, padding included; a GPU needs about 300 bytes for each."""
Wanted = tuple[DecodedRecording, Perturbation | None]


def has_gpu() -> bool:
    """Tell whether torch finds a GPU."""
    return bool(torch.cuda.is_available())


def gpus() -> list[str]:
    """Return a line for each GPU that torch finds: its name in `--device`, its model and its memory."""
    found = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    return [f"cuda:{number}: {one.name}, {one.total_memory / 1e9:.0f} GB" for number, one in enumerate(found)]


def open_device(name: str | None) -> torch.device:
    """Return the torch device of a name: `cuda`, `cuda:1`, or `torch-cpu`, the processor, which is for testing.

    Without a name it is a GPU if torch finds one, else the processor; `BuildError` if torch finds no such GPU.
    """
    if name == "torch-cpu" or (name is None and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        reason = "this torch has no CUDA" if torch.version.cuda is None else "torch finds no usable GPU here"
        raise BuildError(f"--device {name}: {reason}; leave --device out to compute on the processor.")
    number = int((name or "").partition(":")[2] or 0)
    if number >= torch.cuda.device_count():
        raise BuildError(f"--device {name}: there are {torch.cuda.device_count()} GPUs, numbered from cuda:0.")
    return torch.device("cuda", number)


class TorchEngine:
    """Computes the rows of one pair of feature and augmentation spec on a torch device; decodes as `RowEngine` does.

    Threads may share it: one at a time computes, others decode and commit meanwhile.

    Parameters
    ----------
    features : FeatureSpec
    augmentation : AugmentationSpec or None
        None computes clean rows only.
    device : torch.device
    """

    recordings_at_once = 64
    """Preferred number of recordings per call of `rows`: enough for batches of similar length."""

    def __init__(self, features: FeatureSpec, augmentation: AugmentationSpec | None, device: torch.device) -> None:
        check_together(features, augmentation, TORCH)
        self.features, self.augmentation, self.device = features, augmentation, device
        self._decoders = threading.local()
        self._lock = threading.Lock()
        self._log_mel: dict[int, TorchLogMel] = {}
        self._shifter = PitchShifter(device)

    def load(self, data: bytes, segment: Segment = WHOLE, max_seconds: float = MAX_SECONDS) -> DecodedRecording:
        """Decode a recording or a segment of it on the processor."""
        return self._decoder.load(data, segment, max_seconds)

    def load_segments(
        self, data: bytes, segments: Sequence[Segment], max_seconds: float = MAX_SECONDS
    ) -> list[DecodedRecording | AudioError]:
        """Decode segments of one recording on the processor."""
        return self._decoder.load_segments(data, segments, max_seconds)

    def check(self, recording: DecodedRecording) -> AugmentationSpec:
        """Refuse a recording that cannot be augmented."""
        return self._decoder.check(recording)

    def draw_perturbation(self, recording: DecodedRecording, content: str, copy: int) -> Draw:
        """Draw what a copy of a recording gets, as on the processor."""
        return self._decoder.draw_perturbation(recording, content, copy)

    def rows(self, wanted: Sequence[Wanted]) -> list[Row]:
        """Return rows, arrays [frames, mels]: clean ones where the perturbation is None, else augmented ones.

        Raises
        ------
        AudioError
            If a number does not fit the storage type.
        BuildError
            If the GPU runs out of memory.
        """
        found: dict[int, Row] = {}
        for places in self._batches(wanted):
            try:
                with self._lock:
                    computed = self._compute(Batch.of([wanted[place] for place in places]))
            except torch.OutOfMemoryError as error:
                raise BuildError(
                    f"{self.device} ran out of memory over {len(places)} rows: let other programs on it end, or leave "
                    "--device out to compute on the processor. What is finished stays."
                ) from error
            found.update(zip(places, computed, strict=True))
        return [found[place] for place in range(len(wanted))]

    @property
    def _decoder(self) -> RowEngine:
        """The thread's own, as `RowEngine` asks for: it has work space."""
        if not hasattr(self._decoders, "engine"):
            self._decoders.engine = RowEngine(self.features, self.augmentation)
        engine: RowEngine = self._decoders.engine
        return engine

    def _batches(self, wanted: Sequence[Wanted]) -> Iterator[list[int]]:
        """Yield positions of rows of one rate and similar length, as many as a batch holds."""
        most = SAMPLES.get(self.device.type, SAMPLES["cuda"])
        order = sorted(range(len(wanted)), key=lambda place: (wanted[place][0].rate, len(wanted[place][0].signal)))
        batch: list[int] = []
        for place in order:
            recording = wanted[place][0]
            full = (len(batch) + 1) * len(recording.signal) > most
            if batch and (full or recording.rate != wanted[batch[0]][0].rate):
                yield batch
                batch = []
            batch.append(place)
        if batch:
            yield batch

    @torch.inference_mode()
    def _compute(self, batch: Batch) -> list[Row]:
        recording = batch.recordings[0]
        if recording.rate not in self._log_mel:
            self._log_mel[recording.rate] = TorchLogMel(self.features, recording.rate, self.device)
        circular = self.augmentation is not None and self.augmentation.shift_fill == "circular"
        signals = perturbed(batch, self._shifter, circular, self.device)
        bend = self.augmentation.vtlp_f0 if self.augmentation else 1.0
        rows: dict[int, Row] = {}
        for precision in (torch.float32, torch.float64):  # single where noise allows it, as on the processor
            places = [
                place
                for place, one in enumerate(batch.perturbations)
                if (one.snr_db is not None and one.snr_db <= SINGLE_BELOW_DB) == (precision == torch.float32)
            ]
            if not places:
                continue
            found = self._log_mel[recording.rate](
                signals[torch.tensor(places, device=self.device)],
                [batch.samples[place] for place in places],
                precision,
                ([batch.perturbations[place].vtlp_alpha for place in places], bend),
            )
            frames = [len(row) for row in found]
            together = torch.cat(found).cpu()
            if not is_finite(together.numpy()):
                raise AudioError(f"its features hold numbers that do not fit {self.features.dtype}.")
            rows.update(zip(places, (row.numpy() for row in torch.split(together, frames)), strict=True))
        return [rows[place] for place in range(len(batch.positions))]
