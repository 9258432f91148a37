"""The candidates side by side in a few words each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from builders import answered, make_row, plainly, single, timed

from harness.records.rows import Row
from harness.records.values import Value
from harness.reporting.characters import characters_table

BITS, DECODE, ENCODE = "continuation_bits_per_byte", "decode_tokens_per_second", "encode_tokens_per_second"
JITTER = (1.0, 1.02, 0.98, 1.01, 0.99, 1.03)
MIB = 2.0**20


def bits(mean: float) -> Value:
    return answered(BITS, [mean + shift for shift in (0.5, -0.5, 1.0, -1.0, 0.0, 0.0)])


def line(name: str, rows: Sequence[Row], uses: Mapping[str, Sequence[str]] | None = None) -> dict[str, str]:
    """The line of a candidate by header."""
    table = plainly(characters_table(rows, uses or {}))
    found = next(each for each in table.lines if each[0] == f"`{name}`")
    return dict(zip(map(str, table.headers), map(str, found), strict=True))


def test_a_candidate_has_one_line_whatever_the_number_of_its_variants():
    rows = [make_row(f"{name}/cpu") for name in ("gpt/torch/fp32", "gpt/torch/bf16", "bert/torch/fp32")]
    table = plainly(characters_table(rows, {}))
    assert [each[0] for each in table.lines] == ["`gpt`", "`bert`"]
    assert table.headers == ("candidate", "architecture", "generation", "efficiency", "complexity", "recommended for")


def test_every_family_has_its_architecture_and_what_it_can_write():
    rows = [make_row(f"{name}/torch/fp32/cpu", family=name) for name in ("causal", "masked", "seq2seq")]
    cells = [(each["architecture"], each["generation"]) for each in (line(row.subject.candidate, rows) for row in rows)]
    assert cells == [
        ("decoder, autoregressive", "writes on freely"),
        ("encoder, autoencoding", "fills in gaps of a known length; writes on only word by word"),
        ("encoder and decoder, sequence to sequence", "fills in spans and rewrites text"),
    ]


def test_generation_tells_how_well_text_is_continued_with_the_rank_among_candidates():
    rows = [
        make_row("a/torch/fp32/cpu", {BITS: bits(25.0)}),
        make_row("a/torch/bf16/cpu", {BITS: bits(24.0)}),
        make_row("b/torch/fp32/cpu", {BITS: bits(20.0)}, "seq2seq"),
        make_row("c/torch/fp32/cpu", {BITS: bits(30.0)}, "masked"),
    ]
    assert line("b", rows)["generation"].endswith(" bits per byte of continuations (#1 of 3 candidates)")
    assert line("a", rows)["generation"].startswith("writes on freely: 2.500 [")
    assert line("a", rows)["generation"].endswith("(#2 of 3 candidates)")
    assert line("c", rows)["generation"].endswith("(#3 of 3 candidates)")


def test_efficiency_tells_the_fastest_variant_and_the_least_memory():
    speeds = {"fp32": 50.0, "int8": 90.0}
    sizes = {"fp32": 3 * MIB, "int8": 4 * MIB}
    rows = [
        make_row(
            f"gpt/torch/{precision}/cpu",
            {
                DECODE: timed([speed * each for each in JITTER]),
                "peak_memory_bytes": single(sizes[precision]),
            },
        )
        for precision, speed in speeds.items()
    ]
    assert line("gpt", rows)["efficiency"] == (
        "decode 90.5 [88.2, 92.7] tokens/s (torch/int8); 3.000 MiB of memory (torch/fp32)"
    )


def test_masked_models_are_told_by_their_encoding():
    row = make_row("bert/torch/fp32/cpu", {ENCODE: single(4000.0), DECODE: single(1.0)}, "masked")
    assert line("bert", [row])["efficiency"] == "encode 4,000 tokens/s (torch/fp32)"


def test_complexity_tells_parameters_and_the_smallest_file():
    rows = [
        make_row(f"gpt/torch/{precision}/cpu", {"parameters": single(3e6), "weights_bytes": single(size * MIB)})
        for precision, size in (("fp32", 12.0), ("int8", 3.0))
    ]
    assert line("gpt", rows)["complexity"] == "3.000 M parameters; 3.000 MiB of weights (torch/int8)"


def test_what_a_candidate_is_recommended_for_is_told_once_for_all_its_variants():
    rows = [make_row("gpt/torch/fp32/cpu"), make_row("gpt/torch/bf16/cpu"), make_row("bert/torch/fp32/cpu")]
    uses = {"gpt/torch/fp32/cpu": ["Writing", "Chat"], "gpt/torch/bf16/cpu": ["Chat"]}
    assert line("gpt", rows, uses)["recommended for"] == "Writing; Chat"
    assert line("bert", rows, uses)["recommended for"] == "–"


def test_what_was_not_measured_is_a_dash():
    cells = line("gpt", [make_row("gpt/torch/fp32/cpu")])
    assert (cells["efficiency"], cells["complexity"]) == ("–", "–")


def test_variants_that_failed_or_are_not_equivalent_say_nothing_of_their_candidate():
    good = make_row("gpt/torch/fp32/cpu", {DECODE: single(50.0)})
    lost = make_row("gpt/x/int8/cpu", {DECODE: single(500.0), "perplexity_ratio": single(2.0)})
    failed = replace(make_row("gpt/y/int8/cpu", {DECODE: single(900.0)}), status="failed")
    assert line("gpt", [good, lost, failed])["efficiency"] == "decode 50.0 tokens/s (torch/fp32)"


def test_where_nothing_went_well_there_is_no_table():
    assert characters_table([make_row("gpt/torch/fp32/cpu", status="failed")], {}) is None
    assert characters_table([], {}) is None
