"""Rater votes: kept as text, decided by named rules, shared out as soft labels, and compared."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.corpus.labels.votes import VOTE_RULES, Vote, krippendorff_alpha, parse_votes, soft_label, votes_text


def votes(text):
    return parse_votes(";".join(f"{number}:{label}" for number, label in enumerate(text.split(), 1)))


LABELS = st.text(st.characters(exclude_characters=":;*", exclude_categories=("C",)), min_size=1, max_size=8)


@given(st.lists(st.builds(Vote, st.sampled_from(["E1", "E2"]), LABELS, st.integers(0, 9)), max_size=5))
def test_votes_are_read_as_they_were_written(some):
    assert list(parse_votes(votes_text(some))) == some


@pytest.mark.parametrize("text", ["anger", "E1:", ":anger", "E1:anger*", "E1:anger*much"])
def test_what_is_no_vote_is_refused(text):
    with pytest.raises(ValueError, match="is no vote"):
        parse_votes(text)


@pytest.mark.parametrize(
    ("rule", "text", "decided"),
    [
        ("majority", "a a b c d", "a"),
        ("majority", "a a b b c", None),
        ("majority>=3", "a a b c d", None),
        ("majority>=3", "a a a b b", "a"),
        ("weighted", "a*2 b b c*0 d*0", None),
        ("weighted", "a*2 b c d*0 d*0", "a"),
        ("weighted", "a*0 b*0 c*0 d*0 d*0", "neutral"),
        ("first", "b a a a a", "b"),
        ("soft", "a a b c d", "a"),
    ],
)
def test_each_rule_decides_as_its_name_says_and_level_votes_decide_nothing(rule, text, decided):
    assert VOTE_RULES[rule](votes(text)) == decided


@pytest.mark.parametrize("rule", sorted(VOTE_RULES))
def test_without_votes_no_rule_decides(rule):
    assert VOTE_RULES[rule](()) is None


def test_a_rater_who_names_two_labels_gives_half_a_voice_to_each():
    some = (Vote("E1", "a"), Vote("E1", "b"), Vote("E2", "a"))

    assert soft_label(some, ("a", "b")) == pytest.approx([0.75, 0.25])
    assert VOTE_RULES["soft"](some) == "a"


def test_voices_for_other_classes_are_left_out_of_a_soft_label():
    assert soft_label(votes("a b c c"), ("a", "b")) == pytest.approx([0.5, 0.5])
    assert np.array_equal(soft_label(votes("c c"), ("a", "b")), [0, 0])


EXAMPLE = """
A 1 2 3 3 2 1 4 1 2 . . .
B 1 2 3 3 2 2 4 1 2 5 . 3
C . 3 3 3 2 3 4 2 2 5 1 .
D 1 2 3 3 2 4 4 1 2 5 1 .
"""


def test_alpha_is_that_of_krippendorffs_published_example():
    rows = [line.split() for line in EXAMPLE.strip().splitlines()]
    recordings = [
        [Vote(row[0], row[column]) for row in rows if row[column] != "."] for column in range(1, len(rows[0]))
    ]

    assert krippendorff_alpha(recordings) == pytest.approx(0.743, abs=5e-4)


def test_full_agreement_is_one_chance_is_about_zero_and_nothing_to_compare_is_none():
    draw = np.random.default_rng(1)
    by_chance = [votes(" ".join(draw.choice(["a", "b", "c"], 5))) for _ in range(2_000)]

    assert krippendorff_alpha([votes("a a a"), votes("b b")]) == 1
    assert abs(krippendorff_alpha(by_chance)) < 0.02
    assert krippendorff_alpha([votes("a"), ()]) is None
    assert krippendorff_alpha([votes("a a a")]) is None
