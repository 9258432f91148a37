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


def _quality(name: str, unit: str, title: str, description: str, higher_is_better: bool | None = False) -> Metric:
    return Metric(name, "quality", unit, higher_is_better, title, description)


_QUALITY = [
    _quality("perplexity", "perplexity", "perplexity",
             "causal models: exp of the mean negative log-likelihood per token given its left context"),
    _quality("bits_per_byte", "bits/byte", "bits per byte",
             "causal models: negative log-likelihood in bits per UTF-8 byte of scored text; "
             "comparable across tokenizers, unlike perplexity"),
    _quality("word_perplexity", "perplexity", "word perplexity",
             "causal models: exp of the negative log-likelihood per white-space separated word of scored text"),
    _quality("byte_perplexity", "perplexity", "byte perplexity",
             "causal models: exp of the negative log-likelihood per UTF-8 byte of scored text"),
    _quality("masked_perplexity", "perplexity", "masked perplexity",
             "masked models: exp of the mean loss on masked tokens, with masks frozen by a seed"),
    _quality("span_perplexity", "perplexity", "span perplexity",
             "seq2seq models: exp of the mean loss on the content tokens of corrupted spans, frozen by a seed"),
    _quality("pseudo_perplexity", "perplexity", "pseudo-perplexity",
             "masked models: exp(-sum of PLL / tokens) of sentences, each token masked with the rest of its word"),
    _quality("pseudo_perplexity_by_token", "perplexity", "pseudo-perplexity, by token",
             "masked models: exp(-sum of PLL / tokens) of sentences, each token masked alone"),
    _quality("infilling_perplexity", "perplexity", "infilling perplexity",
             "seq2seq models: of sentences, each word infilled on its own, its closing sentinel counted"),
    _quality("continuation_bits_per_byte", "bits/byte", "continuation bits per byte",
             "all families: negative log-likelihood in bits per UTF-8 byte of the same continuations"),
    _quality("cloze_accuracy", "fraction", "cloze accuracy",
             "all families: share of the same whole words that are predicted exactly from the left context", True),
    _quality("cloze_bits_per_char", "bits/char", "cloze bits per char",
             "all families: negative log-likelihood in bits per letter of the same words, from the left context"),
    _quality("cloze_accuracy_both_sides", "fraction", "cloze accuracy, both sides",
             "masked and seq2seq models: as cloze accuracy, with the right context as well", True),
    _quality("cloze_bits_per_char_both_sides", "bits/char", "cloze bits per char, both sides",
             "masked and seq2seq models: as cloze bits per char, with the right context as well"),
    _quality("forced_choice_accuracy", "fraction", "forced choice",
             "all families: share of pairs in which a sentence is likelier than its corruption; ties count half", True),
    _quality("blimp_accuracy", "fraction", "BLiMP",
             "all families: share of BLiMP's pairs in which the grammatical sentence is likelier", True),
    _quality("perplexity_ratio", "ratio", "perplexity ratio",
             "the variant's perplexity over that of its parent, the checkpoint in fp32 torch", None),
    _quality("kl_divergence", "nats/token", "KL", "KL(parent || variant) a token, the mean", None),
    _quality("kl_divergence_p50", "nats/token", "KL p50", "KL(parent || variant) a token, the median", None),
    _quality("kl_divergence_p95", "nats/token", "KL p95", "KL(parent || variant) a token, the 95th percentile", None),
    _quality("kl_divergence_p99", "nats/token", "KL p99", "KL(parent || variant) a token, the 99th percentile", None),
    _quality("kl_divergence_max", "nats/token", "KL max", "KL(parent || variant) a token, the highest", None),
    _quality("top1_agreement", "fraction", "top-1 agreement",
             "share of tokens on which the variant and its parent find the same token likeliest", None),
    _quality("batched_perplexity", "perplexity", "perplexity in batches",
             "quantised variants: the perplexity when windows are scored in batches, not one at a time"),
]  # fmt: skip

_WITH_FLOOR = ("perplexity", "bits_per_byte", "continuation_bits_per_byte", "cloze_accuracy", "cloze_bits_per_char",
               "cloze_accuracy_both_sides", "cloze_bits_per_char_both_sides", "forced_choice_accuracy",
               "blimp_accuracy")  # fmt: skip


def _floor_of(metric: Metric) -> Metric:
    """The same measure under word frequencies of the training split: a model near it has learnt nothing."""
    words = "the same items or tokens under word frequencies of the training split: " + metric.title
    return _quality(f"unigram_{metric.name}", metric.unit, "unigram baseline", words, None)


def _limit(name: str, unit: str, title: str, description: str) -> Metric:
    return Metric(name, "limit", unit, None, title, description)


_LIMITS = [
    _limit("read_bandwidth", "bytes/s", "read bandwidth",
           "the machine: bytes a second of reading a block much larger than the caches"),
    *(
        _limit(f"matmul_peak_{kind}", "op/s", f"{kind} peak",
               f"the machine: operations a second of the best product of two {kind} matrices")
        for kind in ("fp32", "bf16", "fp16", "int8")
    ),
    _limit("prefill_operations", "op", "operations",
           "operations of the matrix products from the timed prompt to the first token (masked: of an encode)"),
    _limit("decode_fraction_of_limit", "fraction", "decode, of the limit",
           "decode over the read bandwidth divided by the bytes of weights that a step reads"),
    _limit("prefill_fraction_of_limit", "fraction", "prefill, of the limit",
           "prefill over the matrix-product peak divided by the operations that a token takes"),
    _limit("encode_fraction_of_limit", "fraction", "encode, of the limit",
           "encode (batch 1) over the matrix-product peak divided by the operations that a token takes"),
]  # fmt: skip

_ALL = [
    Metric("parameters", "size", "parameters", False, "parameters", "trainable weights of the candidate"),
    Metric("weights_bytes", "size", "bytes", False, "weights", "size on disk of the weights that the engine loads"),
    Metric(
        "quantised_share",
        "size",
        "fraction",
        None,
        "quantised",
        "share of the weights that really are stored in integers",
    ),
    Metric(
        "step_bytes",
        "size",
        "bytes",
        False,
        "bytes a step",
        "weights, with their scales, that the matrix products of a decode step (masked: an encode) must read",
    ),
    *_QUALITY,
    *(_floor_of(metric) for metric in _QUALITY if metric.name in _WITH_FLOOR),
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
    Metric(
        "load_cold_seconds",
        "speed",
        "s",
        False,
        "load, cold",
        "opening the weights in a fresh worker, dropped from the file cache before",
    ),
    Metric("first_call_seconds", "speed", "s", False, "first call", "the first pass of a fresh session"),
    Metric(
        "peak_memory_bytes",
        "memory",
        "bytes",
        False,
        "peak memory",
        "highest unique memory of the worker while loading and running, over its baseline before loading",
    ),
    Metric(
        "peak_pss_bytes",
        "memory",
        "bytes",
        False,
        "peak PSS",
        "the same with the worker's share of pages that several processes map",
    ),
    Metric(
        "peak_cuda_allocated_bytes",
        "memory",
        "bytes",
        False,
        "GPU allocated",
        "CUDA, torch: highest memory of tensors on the GPU while loading and running",
    ),
    Metric(
        "peak_cuda_reserved_bytes",
        "memory",
        "bytes",
        False,
        "GPU reserved",
        "CUDA: highest memory that the engine's allocator held on the GPU while loading and running",
    ),
    Metric(
        "peak_resident_bytes",
        "memory",
        "bytes",
        False,
        "peak resident memory",
        "by how much the worker's resident memory grew at most while loading and doing its first pass",
    ),
    *(
        Metric(
            f"{part}_joules_per_token",
            "energy",
            "J/token",
            False,
            f"{part} energy",
            f"joules of all CPU packages (CUDA: of the GPU) a token of {part}, idle power included (batch 1)",
        )
        for part in ("prefill", "decode", "encode")
    ),
    Metric("control_seconds", "speed", "s", False, "control", "a fixed workload that tells whether the machine moved"),
    Metric("sweep", "sweep", "", None, "sweep", "speed at other prompt lengths and batch sizes, a sample a point"),
    *_LIMITS,
    Metric("training_loss", "training", "nats/token", False, "training loss", "mean loss of the logged training steps"),
    Metric("validation_loss", "training", "nats/token", False, "validation loss", "loss on the validation split"),
    Metric("text", "sample", "text", None, "sample", "text made by the variant"),
]

PERPLEXITY = {"causal": "perplexity", "masked": "masked_perplexity", "seq2seq": "span_perplexity"}
"""The perplexity of each family: three different quantities, never ranked against one another."""

ACROSS_FAMILIES = ("continuation_bits_per_byte", "cloze_accuracy", "cloze_bits_per_char", "forced_choice_accuracy",
                   "blimp_accuracy")  # fmt: skip
"""Measures on the same items, which may be ranked across families and tokenizers."""

BOTH_SIDES = ("cloze_accuracy_both_sides", "cloze_bits_per_char_both_sides")
"""The same for families that see both sides of a gap."""

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
