"""A variant against its parent, the checkpoint in fp32: what exporting, converting or quantising changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from harness.quality.likelihood import ScoredTokens
from harness.quality.windows import Divergence
from harness.records.record import Fact
from harness.stats.intervals import Estimate, clustered_ratio, clustered_share, exponential
from harness.stats.paired import paired_ratio_difference

_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


def parent_facts(
    variant: ScoredTokens, parent: ScoredTokens, divergence: Divergence, protocol: dict[str, Any]
) -> list[Fact]:
    """Perplexity ratio with its paired interval, KL(parent || variant) a token in nats (mean, quantiles, highest), and
    the share of tokens on which both find the same token likeliest."""
    documents = np.unique(variant.documents)
    masks = [variant.documents == index for index in documents]
    mine, theirs, kl, agrees, tokens = (
        [float(values[mask].sum()) for mask in masks]
        for values in (variant.nll, parent.nll, divergence.kl, divergence.agrees, np.ones(len(variant.nll)))
    )
    samples = [
        {"document": int(index), "nll": m, "parent_nll": t, "kl": k, "agrees": a, "tokens": n}
        for index, m, t, k, a, n in zip(documents, mine, theirs, kl, agrees, tokens, strict=True)
    ]
    about = {**protocol, "parent": "torch/fp32", "tokens_scored": len(variant.nll)}
    estimates = {
        "perplexity_ratio": exponential(paired_ratio_difference(theirs, tokens, mine, tokens)),
        "kl_divergence": _not_negative(clustered_ratio(kl, tokens)),
        "top1_agreement": clustered_share(agrees, tokens),
    }
    for name, share in _QUANTILES.items():
        value = float(np.quantile(divergence.kl, share))
        estimates[f"kl_divergence_{name}"] = Estimate(value, None, None, len(divergence.kl), f"quantile {share:g}")
    return [
        Fact.of(metric, estimate, samples if metric == "perplexity_ratio" else [], about)
        for metric, estimate in estimates.items()
    ]


def _not_negative(estimate: Estimate) -> Estimate:
    return estimate if estimate.low is None else replace(estimate, low=max(estimate.low, 0.0))
