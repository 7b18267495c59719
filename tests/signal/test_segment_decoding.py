"""Segments of a file are decoded in one pass and equal the same samples of the whole file."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from segmented import encoded, samples

from featurestore.errors import AudioError
from featurestore.segments import SECOND, WHOLE, Segment
from featurestore.signal.audio import Recording, decode, decode_segments
from featurestore.signal.guarded import GuardedDecoder

LENGTH = 20.0
WAV, OGG = (encoded(samples(3, LENGTH), kind) for kind in ("WAV", "OGG"))
TIMES = st.tuples(st.integers(0, 20_000), st.integers(1, 20_000)).map(lambda pair: (min(pair), max(pair)))
PARTS = st.lists(st.tuples(TIMES, st.sampled_from((None, 0, 1))), min_size=1, max_size=8)


def segment_of(part):
    (start, end), channel = part
    return Segment(start * SECOND // 1_000, (end + (start == end)) * SECOND // 1_000, channel)


@pytest.mark.parametrize("data", [WAV, OGG], ids=["sought in", "read through"])
@settings(max_examples=25, deadline=None)
@given(parts=PARTS)
def test_segments_equal_those_samples_of_the_file_in_whatever_order_they_are_asked_for(data, parts):
    whole = {channel: decode(data, segment=Segment(channel=channel)).signal for channel in (None, 0, 1)}
    segments = [segment_of(part) for part in parts]

    for segment, found in zip(segments, decode_segments(data, segments), strict=True):
        first, stop = segment.samples(len(whole[None]), 16_000)
        assert isinstance(found, Recording)
        np.testing.assert_array_equal(found.signal, whole[segment.channel][first:stop])


@pytest.mark.parametrize(("kind", "most"), [("WAV", 2.5), ("OGG", 21.0)])
def test_what_lies_between_and_behind_segments_is_not_read_where_a_coding_can_be_sought_in(monkeypatch, kind, most):
    read = []

    class Counting(soundfile.SoundFile):
        def read(self, *args, **kwargs):
            block = super().read(*args, **kwargs)
            read.append(len(block))
            return block

    monkeypatch.setattr(soundfile, "SoundFile", Counting)
    segments = [Segment(second * SECOND, (second + 1) * SECOND) for second in (18, 2)]

    decode_segments(WAV if kind == "WAV" else OGG, segments)

    assert sum(read) <= most * 16_000


def test_a_guarded_decoder_gives_the_same_segments_and_reasons():
    segments = [Segment(SECOND, 2 * SECOND, 1), Segment(0, 99 * SECOND), Segment(channel=5), WHOLE]

    guarded, plain = GuardedDecoder().decode_segments(OGG, segments), decode_segments(OGG, segments)

    for one, other in zip(guarded, plain, strict=True):
        assert type(one) is type(other)
        if isinstance(one, AudioError):
            assert str(one) == str(other)
        else:
            np.testing.assert_array_equal(one.signal, other.signal)
            assert (one.rate, one.channels) == (other.rate, other.channels)


@given(start=st.integers(0, 10**12), rate=st.integers(1_000, 384_000))
@settings(deadline=None)
def test_a_time_goes_to_the_nearest_sample(start, rate):
    length = 10**9
    first, _ = Segment(start).samples(length, rate) if start * rate // SECOND < length - 1 else (None, None)

    if first is not None:
        assert abs(first * SECOND - start * rate) <= SECOND // 2


@given(sample=st.integers(0, 50_000_000), rate=st.sampled_from((8_000, 11_025, 16_000, 44_100, 48_000, 192_000)))
@settings(deadline=None)
def test_the_time_of_a_sample_in_nanoseconds_is_that_sample_at_every_rate(sample, rate):
    assert Segment(round(sample / rate * SECOND)).samples(60_000_000, rate)[0] == sample
