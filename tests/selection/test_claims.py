from __future__ import annotations

from dataclasses import replace

import pytest
from builders import answered, make_row, scored, single, timed
from hypothesis import given
from hypothesis import strategies as st

from harness.selection.claims import Claim, Range, contradict, judge

SPEED, BITS, SIZE, CLOZE = "decode_tokens_per_second", "bits_per_byte", "parameters", "cloze_accuracy"
ROUNDS = [100.0, 101.0, 99.5, 100.5, 99.0, 100.2]
NATS = [300.0, 340.0, 280.0, 310.0, 330.0, 290.0, 305.0, 325.0]
RIGHT = [5.0, 6.0, 4.0, 5.0, 7.0, 3.0, 6.0, 4.0]
ENDS = st.none() | st.floats(-10, 10)


def of_one(metric, at_least=None, at_most=None, new=("student",), **other):
    return Claim("it is so", "a note", new, (), (metric,), Range(at_least, at_most), **other)


def of_two(metric, at_least=None, at_most=None, new=("student",), base=("teacher",), **other):
    return Claim("it is so", "a note", new, base, (metric,), Range(at_least, at_most), **other)


def row(candidate, metric, value, way="torch/fp32/cpu", **other):
    return make_row(f"{candidate}/{way}", {metric: value}, **other)


def pair(metric, new, base, way="torch/fp32/cpu"):
    return [row("teacher", metric, base, way), row("student", metric, new, way)]


def times(factor):
    return timed([each * factor for each in ROUNDS])


@pytest.mark.parametrize(
    ("at_least", "at_most", "verdict"),
    [(81e6, 83e6, "holds"), (82e6, 82e6, "holds"), (None, 81e6, "does not hold"), (83e6, None, "does not hold")],
)
def test_an_exact_value_holds_where_it_is_in_the_range(at_least, at_most, verdict):
    (judged,) = judge([of_one(SIZE, at_least, at_most)], [row("student", SIZE, single(82e6))])
    assert (judged.verdict, judged.measured.value) == (verdict, 82e6)


def test_sixty_percent_lighter_does_not_hold_of_82_against_124():
    (judged,) = judge([of_two(SIZE, 0.35, 0.45)], pair(SIZE, single(82e6), single(124e6)))
    assert judged.verdict == "does not hold"
    assert judged.measured.value == pytest.approx(82 / 124)


@pytest.mark.parametrize(
    ("bound", "verdict"), [(50.0, "holds"), (100.1, "undecided"), (150.0, "does not hold"), (99.0, "holds")]
)
def test_a_timing_takes_its_whole_interval(bound, verdict):
    (judged,) = judge([of_one(SPEED, at_least=bound)], [row("student", SPEED, timed(ROUNDS))])
    assert judged.verdict == verdict


@pytest.mark.parametrize(("factor", "verdict"), [(1.8, "holds"), (1.2, "does not hold")])
def test_sixty_percent_faster_is_judged_on_the_ratio_of_paired_rounds(factor, verdict):
    (judged,) = judge([of_two(SPEED, at_least=1.6)], pair(SPEED, times(factor), times(1.0)))
    assert judged.verdict == verdict
    assert judged.measured.value == pytest.approx(factor)


def test_a_ratio_whose_interval_reaches_over_the_bound_is_undecided():
    base = [1.6, 1.5, 1.7, 1.55, 1.65, 1.6]
    (judged,) = judge([of_two(SPEED, at_least=1.6)], pair(SPEED, timed(base), timed([1.0] * 6)))
    assert (judged.verdict, judged.why) == ("undecided", "the interval reaches over the bound")


def test_too_few_rounds_leave_a_claim_undecided_and_say_so():
    rows = pair(SPEED, timed([200.0] * 3), timed([100.0] * 3))
    (judged,) = judge([of_two(SPEED, at_least=1.6)], rows)
    assert judged.verdict == "undecided"
    assert judged.why == "there is no interval (median of 3, too few for an interval)"


@pytest.mark.parametrize(("bound", "verdict"), [(100e6, "undecided"), (106e6, "holds"), (94e6, "does not hold")])
def test_a_single_reading_of_memory_is_good_to_five_percent(bound, verdict):
    claim = of_one("peak_memory_bytes", at_most=bound)
    (judged,) = judge([claim], [row("student", "peak_memory_bytes", single(100e6))])
    assert judged.verdict == verdict


def test_a_share_of_the_teachers_score_is_paired_by_document():
    rows = pair(CLOZE, answered(CLOZE, [4.75, 5.75, 3.75, 4.75, 6.75, 2.75, 5.75, 3.75]), answered(CLOZE, RIGHT))
    judged = judge([of_two(CLOZE, at_least=0.9), of_two(CLOZE, at_least=0.97)], rows)
    assert [each.verdict for each in judged] == ["holds", "does not hold"]


@pytest.mark.parametrize(("at_least", "verdict"), [(0.9, "holds"), (0.97, "undecided")])
def test_the_same_answers_to_few_items_are_no_proof_that_accuracies_are_the_same(at_least, verdict):
    (judged,) = judge([of_two(CLOZE, at_least)], pair(CLOZE, answered(CLOZE, RIGHT), answered(CLOZE, RIGHT)))
    assert (judged.verdict, judged.measured.value) == (verdict, 1.0)
    assert judged.measured.low == pytest.approx(1 - 3 / sum(RIGHT))


def test_a_claim_has_a_verdict_for_each_of_its_metrics():
    new = make_row("student/torch/fp32/cpu", {SIZE: single(82e6), BITS: scored(BITS, NATS)})
    claim = replace(of_one(SIZE, at_least=1e6), metrics=(SIZE, BITS))
    assert [(each.metric, each.verdict) for each in judge([claim], [new])] == [
        (SIZE, "holds"),
        (BITS, "does not hold"),
    ]


def test_a_candidate_that_is_not_in_the_run_is_named():
    claim = of_two(SIZE, at_most=0.5)
    (judged,) = judge([claim], [row("student", SIZE, single(1.0))])
    assert (judged.verdict, judged.why) == ("not measured", "not in this run: teacher")


def test_of_several_candidates_those_with_the_fewest_missing_are_named():
    claim = of_two(SIZE, at_most=0.5, new=("student", "other"), base=("teacher", "known"))
    (judged,) = judge([claim], [row("known", SIZE, single(1.0))])
    assert judged.why == "not in this run: other"


def test_a_variant_that_failed_gives_its_reason():
    rows = [row("teacher", SPEED, timed(ROUNDS)), make_row("student/torch/fp32/cpu", status="failed", reason="no room")]
    (judged,) = judge([of_two(SPEED, at_least=1.0)], rows)
    assert (judged.verdict, judged.why) == ("not measured", "student/torch/fp32/cpu: failed, no room")


def test_a_metric_that_was_not_measured_is_named():
    (judged,) = judge([of_one(SPEED, at_least=1.0)], [row("student", SIZE, single(1.0))])
    assert judged.why == "decode was not measured of student/torch/fp32/cpu"


def test_a_metric_a_token_is_not_compared_between_tokenizers():
    rows = [
        row("teacher", "perplexity", scored("perplexity", NATS)),
        row("student", "perplexity", scored("perplexity", NATS), tokenizer="tokenizer-2"),
    ]
    (judged,) = judge([of_two("perplexity", at_most=1.1)], rows)
    assert (judged.verdict, judged.why) == ("not measured", "the tokenizers differ, and this is counted a token")


def test_readings_of_different_rounds_are_not_compared():
    rows = pair(SPEED, timed(ROUNDS), timed(ROUNDS, first_round=6))
    (judged,) = judge([of_two(SPEED, at_least=1.0)], rows)
    assert (judged.verdict, judged.why) == (
        "not measured",
        "both were measured, but never in the same round or document",
    )


def test_there_is_no_share_of_a_score_of_nothing():
    rows = pair(CLOZE, answered(CLOZE, RIGHT), answered(CLOZE, [0.0] * len(RIGHT)))
    (judged,) = judge([of_two(CLOZE, at_least=0.9)], rows)
    assert judged.why == "cloze accuracy of teacher/torch/fp32/cpu is 0, and there is no ratio to zero"


def test_the_quality_of_random_weights_says_nothing_but_their_size_does():
    value = make_row("student/torch/fp32/cpu", {BITS: scored(BITS, NATS), SIZE: single(5.0)})
    random = replace(value, subject=replace(value.subject, origin="random"))
    quality, size = judge([of_one(BITS, at_most=9.0), of_one(SIZE, at_most=9.0)], [random])
    assert (quality.verdict, size.verdict) == ("not measured", "holds")
    assert quality.why == "the weights of student are random: it has learnt nothing"


def test_a_claim_that_nothing_measures_is_not_measured_and_says_why():
    (judged,) = judge([Claim("it translates best", "a note", unmeasured="no metric scores translations")], [])
    assert (judged.verdict, judged.why) == ("not measured", "no metric scores translations")


def test_a_claim_is_judged_on_the_first_of_its_candidates_that_is_there():
    claim = of_one(SIZE, at_least=1.0, new=("real", "random", "mini"))
    rows = [row("mini", SIZE, single(3.0)), row("random", SIZE, single(2.0))]
    (judged,) = judge([claim], rows)
    assert judged.new is rows[1]


def test_candidates_that_failed_give_way_to_the_next():
    failed = make_row("real/torch/fp32/cpu", status="skipped", reason="no network")
    (judged,) = judge([of_one(SIZE, at_least=1.0, new=("real", "mini"))], [failed, row("mini", SIZE, single(3.0))])
    assert (judged.verdict, judged.new.subject.candidate) == ("holds", "mini")


def test_a_student_is_never_compared_with_the_teacher_of_another():
    claim = of_two(SIZE, at_most=0.5, new=("student", "small-student"), base=("teacher", "small-teacher"))
    (judged,) = judge([claim], [row("student", SIZE, single(1.0)), row("small-teacher", SIZE, single(4.0))])
    assert judged.verdict == "not measured"


def test_speed_is_judged_on_every_variant_that_both_have_torch_in_fp32_first():
    ways = ["onnxruntime/int8/cpu", "torch/fp32/cpu", "openvino/fp32/cpu"]
    rows = [each for way in ways[:2] for each in pair(SPEED, times(2.0), times(1.0), way)]
    rows.append(row("student", SPEED, times(1.0), ways[2]))
    judged = judge([of_two(SPEED, at_least=1.6)], rows)
    assert [each.new.variant for each in judged] == ["student/torch/fp32/cpu", "student/onnxruntime/int8/cpu"]
    assert [each.base.variant for each in judged] == ["teacher/torch/fp32/cpu", "teacher/onnxruntime/int8/cpu"]


def test_quality_is_judged_on_torch_in_fp32_alone():
    rows = [row("student", BITS, scored(BITS, NATS), way) for way in ("onnxruntime/int8/cpu", "torch/fp32/cpu")]
    (judged,) = judge([of_one(BITS, at_most=9.0)], rows)
    assert judged.new is rows[1]


def test_quality_is_judged_on_another_variant_where_torch_in_fp32_was_not_measured():
    rows = [
        make_row("student/torch/fp32/cpu", status="failed", reason="no room"),
        row("student", BITS, scored(BITS, NATS), "onnxruntime/int8/cpu"),
    ]
    (judged,) = judge([of_one(BITS, at_most=9.0)], rows)
    assert judged.new is rows[1]


@pytest.mark.parametrize(
    ("pattern", "judged_on"),
    [
        ("torch/*", ["torch/fp32/cpu", "torch/fp32/cuda"]),
        ("*/fp32/cpu", ["torch/fp32/cpu", "onnxruntime/fp32/cpu"]),
        ("onnxruntime/fp32", ["onnxruntime/fp32/cpu"]),
    ],
)
def test_a_claim_may_name_the_variants_that_it_is_judged_on(pattern, judged_on):
    ways = ["torch/fp32/cpu", "torch/fp32/cuda", "onnxruntime/fp32/cpu"]
    rows = [row("student", BITS, scored(BITS, NATS), way) for way in ways]
    judged = judge([of_one(BITS, at_most=9.0, variants=(pattern,))], rows)
    assert [each.new.variant.partition("/")[2] for each in judged] == judged_on


def test_a_pattern_that_no_variant_fits_is_told():
    (judged,) = judge([of_one(SIZE, at_most=9.0, variants=("tensorrt/*",))], [row("student", SIZE, single(1.0))])
    assert judged.why == "no variant of student is tensorrt/*"


def test_candidates_without_a_common_variant_are_told():
    rows = [row("teacher", SIZE, single(2.0)), row("student", SIZE, single(1.0), "onnxruntime/int8/cpu")]
    (judged,) = judge([of_two(SIZE, at_most=0.9)], rows)
    assert judged.why == "no engine and precision that student, teacher have in common"


def test_claims_that_cannot_both_be_true_name_each_other_measured_or_not():
    lighter, figures = of_two(SIZE, 0.35, 0.45), of_two(SIZE, 0.65, 0.67)
    for rows in ([], pair(SIZE, single(82e6), single(124e6))):
        assert [each.contradicts for each in judge([lighter, figures], rows)] == [(figures,), (lighter,)]


@pytest.mark.parametrize(
    "other",
    [
        of_two(SIZE, 0.4, 0.7),
        of_two("weights_bytes", 0.65, 0.67),
        of_two(SIZE, 0.65, 0.67, new=("other",)),
        of_two(SIZE, 0.65, 0.67, base=("other",)),
        of_one(SIZE, 0.65, 0.67),
        of_two(SIZE, 0.65, 0.67, variants=("torch/int8",)),
    ],
)
def test_claims_about_other_things_do_not_contradict(other):
    assert not contradict(of_two(SIZE, 0.35, 0.45), other)


@given(least=ENDS, most=ENDS, low=st.floats(-10, 10), width=st.floats(0, 10))
def test_a_range_never_both_holds_and_does_not(least, most, low, width):
    inside = [Range(least, most).holds(point, point) for point in (low, low + width)]
    whole = Range(least, most).holds(low, low + width)
    assert None not in inside or (least is not None and most is not None and least > most)
    if whole is not None:
        assert inside == [whole, whole]


@given(one=st.tuples(ENDS, ENDS), other=st.tuples(ENDS, ENDS), point=st.floats(-10, 10))
def test_no_number_is_in_two_ranges_that_exclude_each_other(one, other, point):
    both = Range(*one), Range(*other)
    assert both[0].excludes(both[1]) == both[1].excludes(both[0])
    if all(each.holds(point, point) for each in both):
        assert not both[0].excludes(both[1])
