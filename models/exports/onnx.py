"""ONNX: a file that onnxruntime runs in many languages."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from featurestore.conversion import library
from models.exports import Answer, ModelFormat
from models.exports.plain import Classifier

LONGEST = 10_000_000
"""Frames of a clip."""


def write(network: Classifier, description: Mapping[str, str], out: Path) -> None:
    """Write a network with weights inside; the description becomes its metadata."""
    for package in ("onnx", "onnxscript"):
        library(package, "export")
    bands = torch.zeros(1, 40, _bands(description))
    frames = torch.export.Dim("frames", min=1, max=LONGEST)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own use of torch
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it remarks on torchvision
        program = torch.onnx.export(
            network,
            (bands,),
            dynamo=True,
            input_names=["features"],
            output_names=["probabilities"],
            dynamic_shapes={"features": {1: frames}},
            verbose=False,
        )
    if program is None:
        raise RuntimeError("the exporter returned nothing")
    program.model.metadata_props.update(description)
    out.write_bytes(program.model_proto.SerializeToString())


def _bands(description: Mapping[str, str]) -> int:
    import json

    from featurestore.specs.features import FeatureSpec

    return FeatureSpec.from_dict(json.loads(description["features"])).width


def read(path: Path) -> Answer:
    """Open a file with onnxruntime."""
    session = library("onnxruntime", "export").InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def answer(features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities of a clip."""
        found: NDArray[np.float32] = session.run(["probabilities"], {"features": features})[0]
        return found

    return answer


FORMAT = ModelFormat("onnx", write, read)
