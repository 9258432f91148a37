"""From scored tokens to the numbers of a report: perplexities, bits per byte, and the unigram baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from harness.corpora.corpus import Document
from harness.engines.base import Session
from harness.quality.likelihood import Ints, ScoredTokens, unigram_nll
from harness.quality.protocols import PROTOCOLS, Scoring
from harness.records.metrics import PERPLEXITY
from harness.records.record import Fact
from harness.stats.intervals import Estimate, clustered_ratio, exponential


def measure_quality(
    session: Session, tokenizer: Any, documents: Sequence[Document], counts: Ints, scoring: Scoring
) -> list[Fact]:
    """Score documents with the protocol of the session's family.

    ``counts`` [vocabulary] are the tokens of the training split, for the unigram baseline on the same tokens; where a
    decoder predicts sentinels as well, the baseline knows how often, and pays for it as the model does.
    Bits per byte exist for causal models only: masked and seq2seq scores do not add up to a text's likelihood.
    """
    family = session.facts.family
    scored = PROTOCOLS[family](session, tokenizer, documents, scoring)
    baseline = replace(scored.tokens, nll=unigram_nll(counts, scored.targets) - math.log(scored.content_share))
    facts = [
        _perplexity(PERPLEXITY[family], scored.tokens, scored.protocol),
        _perplexity("unigram_perplexity", baseline, scored.protocol),
    ]
    if family == "causal":
        facts.append(_bits_per_byte("bits_per_byte", scored.tokens, scored.protocol))
        facts.append(_bits_per_byte("unigram_bits_per_byte", baseline, scored.protocol))
    return facts


def _perplexity(metric: str, tokens: ScoredTokens, protocol: dict[str, Any]) -> Fact:
    """exp(sum of NLL / tokens), clustered by document."""
    sums = tokens.by_document()
    mean = clustered_ratio([each.nll for each in sums], [each.tokens for each in sums])
    return _fact(metric, exponential(mean), tokens, protocol)


def _bits_per_byte(metric: str, tokens: ScoredTokens, protocol: dict[str, Any]) -> Fact:
    """sum of NLL / (ln 2 * UTF-8 bytes of the scored text), clustered by document."""
    sums = tokens.by_document()
    ratio = clustered_ratio([each.nll / math.log(2) for each in sums], [each.bytes for each in sums])
    return _fact(metric, ratio, tokens, protocol)


def _fact(metric: str, estimate: Estimate, tokens: ScoredTokens, protocol: dict[str, Any]) -> Fact:
    return Fact(
        metric=metric,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        interval=estimate.method,
        n=estimate.n,
        samples=[asdict(each) for each in tokens.by_document()],
        protocol={**protocol, "tokens_scored": len(tokens.nll)},
    )
