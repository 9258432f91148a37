"""What a recommendation says against its own choice."""

from __future__ import annotations

from builders import answered, make_row, scored, single, timed

from harness.records.rows import Row
from harness.selection.recommend import UseCase, recommend
from harness.selection.words import paragraph

CLOZE, DECODE, PERPLEXITY = "cloze_accuracy", "decode_tokens_per_second", "perplexity"
FASTEST = UseCase("fast", ("causal",), DECODE, ("weights_bytes",))
NATS = [300.0, 340.0, 280.0, 310.0, 330.0, 290.0, 305.0, 325.0]


def said(rows: list[Row], use_case: UseCase) -> str:
    return paragraph(recommend(rows, use_case), rows)


def clozes(right: list[float], floor: list[float]) -> Row:
    metrics = {DECODE: timed([100.0] * 6), CLOZE: answered(CLOZE, right), f"unigram_{CLOZE}": answered(CLOZE, floor)}
    return make_row("a/torch/fp32/cpu", metrics)


def test_a_choice_that_word_frequencies_match_is_called_so():
    beware = "Beware: it is not surely better than word frequencies at cloze accuracy."
    same, better = [1.0, 2.0, 1.0, 2.0], [8.0, 9.0, 7.0, 9.0]
    assert beware in said([clozes(same, same[::-1])], FASTEST)
    assert "Beware" not in said([clozes(better, same)], FASTEST)


def tied(ahead: float) -> list[Row]:
    """A small variant, and a large one whose speed is up in most rounds, but not in all."""
    swings = [ahead, ahead, 1 / ahead, ahead, ahead, 1.0]
    large = {DECODE: timed([100.0 * each for each in swings]), "weights_bytes": single(2e6)}
    return [
        make_row("small/torch/fp32/cpu", {DECODE: timed([100.0] * 6), "weights_bytes": single(1e6)}),
        make_row("large/torch/fp32/cpu", large),
    ]


def test_the_one_of_a_tie_that_is_ahead_is_told_where_a_tie_breaker_chose_another():
    text = said(tied(1.2), FASTEST)
    assert text.startswith("Use **`small/torch/fp32/cpu`**")
    assert "By value alone `large/torch/fp32/cpu` is ahead, with 120" in text


def test_a_lead_that_does_not_matter_is_not_told():
    assert "By value alone" not in said(tied(1.01), FASTEST)


def test_a_sure_but_trifling_advantage_hardly_matters():
    best = UseCase("best", ("causal",), PERPLEXITY)
    rows = [
        make_row(f"{name}/torch/fp32/cpu", {PERPLEXITY: scored(PERPLEXITY, [each + more for each in NATS])})
        for name, more in (("a", 0.0), ("b", 0.2))
    ]
    assert "That is less than 1.0 %, which hardly matters." in said(rows, best)
    rows[1] = make_row("b/torch/fp32/cpu", {PERPLEXITY: scored(PERPLEXITY, [each + 20 for each in NATS])})
    assert "hardly matters" not in said(rows, best)
