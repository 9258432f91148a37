from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from harness.corpora.corpus import Document
from harness.quality.family import TextWindows
from harness.quality.likelihood import ScoredTokens
from harness.quality.measures import text_facts
from harness.quality.parent import parent_facts
from harness.quality.windows import Divergence
from harness.records.metrics import ACROSS_FAMILIES, BOTH_SIDES, METRICS, PERPLEXITY

OF_ITEMS = [*ACROSS_FAMILIES, *BOTH_SIDES]
DOCUMENT = Document("letters", "one two three")
TEXT = TextWindows([], {"protocol": "block"})


def tokens() -> ScoredTokens:
    """The three words of the document, each a token."""
    starts, ends = np.array([0, 3, 7]), np.array([3, 7, 13])
    numbers = np.zeros(3, dtype=np.int64)
    return ScoredTokens(numbers, numbers, starts, ends, numbers, nll=np.ones(3), top1=np.ones(3))


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_says_what_it_is(name):
    metric = METRICS[name]
    assert metric.name == name
    assert metric.measure in ("size", "quality", "speed", "memory", "energy", "limit", "training", "sample", "sweep")
    assert metric.title
    assert metric.description


def test_no_two_metrics_share_a_title_but_the_baselines():
    counts = Counter(metric.title for metric in METRICS.values())
    assert [title for title, count in counts.items() if count > 1] == ["unigram baseline"]


@pytest.mark.parametrize("name", OF_ITEMS)
def test_a_measure_of_items_can_be_ranked(name):
    assert METRICS[name].measure == "quality"
    assert METRICS[name].higher_is_better is ("accuracy" in name)


@pytest.mark.parametrize("name", [*OF_ITEMS, "perplexity", "bits_per_byte"])
def test_a_measure_has_a_unigram_floor_of_its_own_unit_that_is_not_ranked(name):
    floor = METRICS[f"unigram_{name}"]
    assert (floor.measure, floor.title) == ("quality", "unigram baseline")
    assert (floor.unit, floor.higher_is_better) == (METRICS[name].unit, None)


def test_every_floor_is_that_of_a_metric():
    floors = [name.removeprefix("unigram_") for name in METRICS if name.startswith("unigram_")]
    assert floors
    assert set(floors) <= set(METRICS)


def test_no_perplexity_is_among_the_measures_that_compare_across_families():
    assert not any(METRICS[name].unit == "perplexity" or "perplexity" in name for name in OF_ITEMS)


def test_measures_of_both_sides_are_not_among_those_that_every_family_has():
    assert not set(BOTH_SIDES) & set(ACROSS_FAMILIES)


def test_every_family_has_a_perplexity_of_its_own():
    assert set(PERPLEXITY) == {"causal", "masked", "seq2seq"}
    assert len(set(PERPLEXITY.values())) == 3
    assert {METRICS[name].unit for name in PERPLEXITY.values()} == {"perplexity"}


@pytest.mark.parametrize("prefix", ["", "unigram_"])
@pytest.mark.parametrize("family", PERPLEXITY)
def test_whatever_is_measured_of_a_text_is_a_metric(family, prefix):
    facts = text_facts(family, tokens(), [DOCUMENT], TEXT, prefix)
    assert facts
    assert {fact.metric for fact in facts} <= set(METRICS)


def test_whatever_is_measured_beside_a_parent_is_a_metric():
    facts = parent_facts(tokens(), tokens(), Divergence(kl=np.zeros(3), agrees=np.ones(3)), {})
    assert {fact.metric for fact in facts} <= set(METRICS)
