"""Every metric that a record may carry: its unit, its direction and what it says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A measured quantity. ``higher_is_better`` is None where neither direction is better."""

    name: str
    measure: str
    unit: str
    higher_is_better: bool | None
    title: str
    description: str


_ALL = [
    Metric("parameters", "size", "parameters", False, "parameters", "trainable weights of the candidate"),
    Metric("weights_bytes", "size", "bytes", False, "weights", "size on disk of the weights that the engine loads"),
    Metric(
        "quantised_share", "size", "fraction", None, "quantised", "share of the weights that really are stored as int8"
    ),
    Metric(
        "perplexity",
        "quality",
        "perplexity",
        False,
        "perplexity",
        "causal models: exp of the mean negative log-likelihood per token given its left context",
    ),
    Metric(
        "bits_per_byte",
        "quality",
        "bits/byte",
        False,
        "bits per byte",
        "causal models: negative log-likelihood in bits per UTF-8 byte of scored text; "
        "comparable across tokenizers, unlike perplexity",
    ),
    Metric(
        "masked_perplexity",
        "quality",
        "perplexity",
        False,
        "masked perplexity",
        "masked models: exp of the mean loss on masked tokens, with masks frozen by a seed",
    ),
    Metric(
        "span_perplexity",
        "quality",
        "perplexity",
        False,
        "span perplexity",
        "seq2seq models: exp of the mean loss on the content tokens of corrupted spans, frozen by a seed",
    ),
    Metric(
        "unigram_perplexity",
        "quality",
        "perplexity",
        False,
        "unigram baseline",
        "the same scored tokens under word frequencies of the training split; a model near it has learnt nothing",
    ),
    Metric(
        "unigram_bits_per_byte",
        "quality",
        "bits/byte",
        False,
        "unigram baseline",
        "the unigram baseline of bits per byte",
    ),
    Metric(
        "prefill_tokens_per_second",
        "speed",
        "tokens/s",
        True,
        "prefill",
        "prompt tokens over time to first token (batch 1)",
    ),
    Metric(
        "decode_tokens_per_second",
        "speed",
        "tokens/s",
        True,
        "decode",
        "(N - 1) over the time from the first to the last of N greedy tokens with the KV cache (batch 1)",
    ),
    Metric(
        "encode_tokens_per_second",
        "speed",
        "tokens/s",
        True,
        "encode",
        "masked models: tokens encoded per second (batch 1)",
    ),
    Metric(
        "encode_batch_tokens_per_second",
        "speed",
        "tokens/s",
        True,
        "encode, batched",
        "masked models: tokens encoded per second, several texts at once",
    ),
    Metric(
        "time_to_first_token_seconds",
        "speed",
        "s",
        False,
        "first token",
        "from handing over the prompt to having the first token (batch 1)",
    ),
    Metric("inter_token_seconds_p50", "speed", "s", False, "token p50", "median time between two decoded tokens"),
    Metric("inter_token_seconds_p95", "speed", "s", False, "token p95", "95th percentile between two decoded tokens"),
    Metric("inter_token_seconds_p99", "speed", "s", False, "token p99", "99th percentile between two decoded tokens"),
    Metric("latency_seconds_p50", "speed", "s", False, "latency p50", "median time of one encode call (batch 1)"),
    Metric("latency_seconds_p95", "speed", "s", False, "latency p95", "95th percentile of one encode call (batch 1)"),
    Metric("latency_seconds_p99", "speed", "s", False, "latency p99", "99th percentile of one encode call (batch 1)"),
    Metric("load_seconds", "speed", "s", False, "load", "opening the weights with a warm file cache"),
    Metric("first_call_seconds", "speed", "s", False, "first call", "the first pass of a fresh session"),
    Metric(
        "peak_memory_bytes",
        "memory",
        "bytes",
        False,
        "peak memory",
        "highest unique memory of the worker while loading and running, over its baseline before loading",
    ),
    Metric("control_seconds", "speed", "s", False, "control", "a fixed workload that tells whether the machine moved"),
    Metric("training_loss", "training", "nats/token", False, "training loss", "mean loss of the logged training steps"),
    Metric("validation_loss", "training", "nats/token", False, "validation loss", "loss on the validation split"),
    Metric("text", "sample", "text", None, "sample", "text made by the variant"),
]

PERPLEXITY = {"causal": "perplexity", "masked": "masked_perplexity", "seq2seq": "span_perplexity"}
"""The perplexity of each family: three different quantities, never ranked against one another."""

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
