"""What fuzz tests share: how long they try, and what an answer in bounded time and memory is."""

import os
import resource
import time
from contextlib import contextmanager

from hypothesis import HealthCheck, settings

from featurestore.errors import FeatureStoreError

LONG = os.environ.get("FEATURESTORE_CHAOS") == "long"
LONGEST_MESSAGE = 1_500
MOST_SECONDS = 60
"""Processor time of one example: more than tenfold what the slowest takes on a machine that is busy."""
MOST_KILOBYTES = 400 * 1024
"""By which one example may make the process larger."""


def fuzzed(examples):
    return settings(
        max_examples=examples * (100 if LONG else 1),
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@contextmanager
def refused_or_bounded():
    """Let our own errors pass, of one short line; refuse all others, and what takes much time or memory."""
    began, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        yield
    except FeatureStoreError as error:
        assert "\n" not in str(error)  # noqa: PT017
        assert len(str(error)) <= LONGEST_MESSAGE  # noqa: PT017
    assert time.process_time() - began < MOST_SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < MOST_KILOBYTES
