"""From a scored text to the numbers of a report: perplexities, bits per byte, and the unigram baseline."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from harness.corpora.corpus import Document
from harness.engines.base import Session, SessionFacts
from harness.quality.causal import Causal
from harness.quality.family import Family, Scoring, TextWindows
from harness.quality.likelihood import Ints, ScoredTokens, resized, unigram
from harness.quality.masked import Masked
from harness.quality.parent import parent_facts
from harness.quality.seq2seq import Seq2Seq
from harness.quality.text import sums_by_document
from harness.quality.windows import largest_batch, score_beside_parent, score_windows
from harness.records.metrics import PERPLEXITY
from harness.records.record import Fact
from harness.stats.intervals import clustered_ratio, exponential


def family_of(session: Session, tokenizer: Any) -> Family:
    """How the models of the session's family are asked. Raises HarnessError where the tokenizer lacks a special token
    that the family's measures need."""
    kinds: dict[str, Callable[[Any, SessionFacts], Family]] = {"causal": Causal, "masked": Masked, "seq2seq": Seq2Seq}
    return kinds[session.facts.family](tokenizer, session.facts)


def measure_text(
    session: Session,
    family: Family,
    documents: Sequence[Document],
    counts: Ints,
    scoring: Scoring,
    parent: Session | None = None,
) -> list[Fact]:
    """Score documents with the perplexity protocol of the session's family, beside its parent where there is one.

    ``counts`` [vocabulary] are the tokens of the training split, for the unigram baseline on the same tokens; where a
    decoder predicts sentinels as well, the baseline knows how often, and pays for it as the model does. Quantised
    variants are scored one window at a time, since dynamic int8 depends on the other rows, and then in batches as well.
    """
    text = family.text(documents, scoring)
    quantised = session.facts.weights.quantised_share > 0
    rows = 1 if quantised else scoring.batch_size
    unknown = sum(int((window.targets == family.unknown).sum()) for window in text.windows)
    noted = {"unknown_tokens": unknown} if unknown else {}
    together = largest_batch(session, text.windows, rows)
    text = replace(text, protocol={**text.protocol, "batch_size": together, **noted})
    beside: list[Fact] = []
    if parent is None:
        tokens = score_windows(session, text.windows, rows).checked(documents)
    else:
        tokens, theirs, divergence = score_beside_parent(session, parent, text.windows, rows)
        beside = parent_facts(tokens.checked(documents), theirs.checked(documents), divergence, text.protocol)
    baseline = unigram(tokens, resized(counts, session.facts.vocabulary_size))
    baseline = replace(baseline, nll=baseline.nll - math.log(text.content_share))
    facts = []
    for prefix, scored in (("", tokens), ("unigram_", baseline)):
        facts += text_facts(session.facts.family, scored, documents, text, prefix)
    together = largest_batch(session, text.windows, scoring.batch_size)
    if quantised and together > 1:
        batched = score_windows(session, text.windows, scoring.batch_size).checked(documents)
        about = replace(text, protocol={**text.protocol, "batch_size": together})
        facts.append(
            replace(text_facts(session.facts.family, batched, documents, about)[0], metric="batched_perplexity")
        )
    return facts + beside


def text_facts(
    family: str, tokens: ScoredTokens, documents: Sequence[Document], text: TextWindows, prefix: str = ""
) -> list[Fact]:
    """The perplexity of the family, exp(sum of NLL / tokens); for causal models also a word and a byte, and bits per
    byte, sum of NLL / (ln 2 * UTF-8 bytes). Masked and seq2seq scores do not add up to a text's likelihood. Where words
    are as long as documents, as in Chinese, exp of their NLL overflows, and there is no word perplexity.

    All with 95 % intervals, clustered by document.
    """
    sums = text.sized(sums_by_document(tokens, documents))
    nats = [each.nll for each in sums]
    name = PERPLEXITY[family] if not prefix else "perplexity"
    estimates = {f"{prefix}{name}": exponential(clustered_ratio(nats, [each.tokens for each in sums]))}
    if family == "causal":
        per_byte = clustered_ratio([nll / math.log(2) for nll in nats], [each.bytes for each in sums])
        estimates[f"{prefix}bits_per_byte"] = per_byte
        if not prefix:
            estimates["byte_perplexity"] = exponential(clustered_ratio(nats, [each.bytes for each in sums]))
            words = [each.words for each in sums]
            per_word = exponential(clustered_ratio(nats, words)) if any(words) else None
            if per_word is not None and math.inf not in (per_word.value, per_word.high):
                estimates["word_perplexity"] = per_word
    protocol = {**text.protocol, "tokens_scored": len(tokens.nll)}
    return [
        Fact.of(metric, estimate, [asdict(each) for each in sums], protocol) for metric, estimate in estimates.items()
    ]
