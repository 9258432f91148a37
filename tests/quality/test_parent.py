"""A variant against its parent."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.checkpoint import Checkpoint
from harness.corpora.corpus import Corpus
from harness.engines.base import Session, Setup
from harness.engines.catalogue import engine_kind
from harness.quality.family import Scoring
from harness.quality.measures import measure_text
from harness.quality.windows import score_beside_parent

SCORING = Scoring(block_size=32, batch_size=3)


@pytest.fixture(scope="module")
def variant(tiny_checkpoints: dict[str, Checkpoint], tmp_path_factory: pytest.TempPathFactory):
    store = ArtefactStore(tmp_path_factory.mktemp("cache"))

    def open_one(family: str, precision: str) -> Session:
        engine = engine_kind("onnxruntime").load()
        folder = engine.prepare(tiny_checkpoints[family], Setup(precision), store)
        return engine.open(folder, family, Setup(precision))

    return open_one


def _facts(session: Session, parent, documents):
    counts = np.ones(len(parent.tokenizer), dtype=np.int64)
    facts = measure_text(session, parent.family, documents, counts, SCORING, parent.session)
    return {fact.metric: fact for fact in facts}


@pytest.mark.parametrize("family", ["causal", "masked", "seq2seq"])
def test_an_export_is_its_parent_to_the_last_digits(loaded, variant, corpus: Corpus, family: str):
    facts = _facts(variant(family, "fp32"), loaded(family), corpus.splits["test"])
    assert facts["perplexity_ratio"].value == pytest.approx(1, abs=1e-5)
    assert facts["kl_divergence_max"].value < 1e-6
    assert facts["top1_agreement"].value > 0.999
    assert facts["top1_agreement"].low < 1
    assert "batched_perplexity" not in facts


def test_int8_is_measured_against_its_parent_alone_and_in_batches(loaded, variant, corpus: Corpus):
    parent, documents = loaded("causal"), corpus.splits["test"]
    facts = _facts(variant("causal", "int8"), parent, documents)
    own = _facts(parent.session, parent, documents)
    ratio = facts["perplexity"].value / own["perplexity"].value
    assert facts["perplexity"].protocol["batch_size"] == 1
    assert facts["batched_perplexity"].protocol["batch_size"] == 3
    assert facts["perplexity_ratio"].value == pytest.approx(ratio, rel=1e-5)
    assert facts["perplexity_ratio"].low < facts["perplexity_ratio"].value < facts["perplexity_ratio"].high
    quantiles = [facts[f"kl_divergence_{name}"].value for name in ("p50", "p95", "p99", "max")]
    assert 0 < quantiles[0] < quantiles[1] < quantiles[2] <= quantiles[3]
    assert quantiles[0] < facts["kl_divergence"].value < quantiles[3]
    assert 0.5 < facts["top1_agreement"].value < 1


def test_divergence_is_that_of_the_whole_logits(loaded, variant, corpus: Corpus):
    parent, session = loaded("causal"), variant("causal", "int8")
    windows = parent.family.text(corpus.splits["test"], SCORING).windows[:4]
    _, _, found = score_beside_parent(session, parent.session, windows, 1)
    kl = []
    for window in windows:
        ids = window.ids[np.newaxis]
        p, q = (
            log_softmax(np.concatenate(list(each.score(ids, window.read))).astype(np.float64), axis=-1)
            for each in (parent.session, session)
        )
        kl.append((np.exp(p) * (p - q)).sum(axis=-1))
    assert found.kl == pytest.approx(np.concatenate(kl), abs=1e-9)
