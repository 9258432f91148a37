from __future__ import annotations

import math
from dataclasses import replace

import pytest
from builders import item_fact, make_subject, make_task, quality_fact
from stored_runs import NATS, QUIET, VARIANT, a_run, a_variant, failed, info_with, perplexity, times

from harness.errors import HarnessError
from harness.records.metrics import METRICS
from harness.records.record import Fact
from harness.selection.regressions import JUDGED, Change, compare_runs
from harness.selection.thresholds import may_be_judged
from harness.stats.intervals import Estimate
from harness.stats.verdicts import Judgement

DECODE, LOAD, SIZE = "decode_tokens_per_second", "load_seconds", "weights_bytes"
OTHER = "mini/onnxruntime/fp32/cpu"
RIGHT = [3.0, 4.0, 2.0, 3.0, 5.0, 1.0, 4.0, 2.0]


def compared(base, new, thresholds=None, infos=(None, None), timings=None):
    """The verdicts on runs of one variant each, or of several where lists of them are given."""
    several = [each if isinstance(each[0], list) else [each] for each in (base, new)]
    kept = [{} if info is None else {"info": info} for info in infos]
    runs = [a_run(name, *mine, **more) for name, mine, more in zip(("old", "newer"), several, kept, strict=True)]
    return compare_runs(*runs, thresholds or {}, timings)


def verdict(verdicts, metric):
    return next(change for change in verdicts.changes if change.metric == metric).judgement


def test_a_run_that_does_not_differ_is_unchanged():
    variant = a_variant(exact={SIZE: 100.0}, rounds={DECODE: QUIET}, quality=[perplexity()])
    found = compared(variant, variant)
    assert found.overall == "unchanged"
    assert {change.metric for change in found.changes} == {SIZE, DECODE, "perplexity"}
    assert (found.base, found.new, found.differences) == ("old", "newer", ())


@pytest.mark.parametrize(("size", "expected"), [(101.0, "regressed"), (99.0, "improved"), (100.0, "unchanged")])
def test_sizes_are_exact(size, expected):
    found = compared(a_variant(exact={SIZE: 100.0}), a_variant(exact={SIZE: size}))
    assert found.overall == verdict(found, SIZE).verdict == expected


def test_a_threshold_is_what_matters():
    found = compared(a_variant(exact={SIZE: 100.0}), a_variant(exact={SIZE: 101.0}), {SIZE: 0.02})
    assert found.overall == "unchanged"


@pytest.mark.parametrize(("factor", "expected"), [(0.5, "regressed"), (2.0, "improved"), (0.96, "undecided")])
def test_speed_is_judged_from_the_rounds(factor, expected):
    found = compared(a_variant(rounds={DECODE: QUIET}), a_variant(rounds={DECODE: times(QUIET, factor)}))
    assert found.overall == expected
    assert found.changes[0].base == pytest.approx(100.1)
    assert found.changes[0].new == pytest.approx(100.1 * factor)


def test_runs_may_have_different_numbers_of_rounds():
    found = compared(a_variant(rounds={DECODE: QUIET}), a_variant(rounds={DECODE: times(QUIET[:4], 0.5)}))
    assert found.overall == "regressed"


def test_only_a_few_metrics_of_speed_are_judged_unless_a_threshold_names_them():
    variant = a_variant(rounds={DECODE: QUIET, "inter_token_seconds_p95": QUIET, "control_seconds": QUIET})
    assert [change.metric for change in compared(variant, variant).changes] == [DECODE]
    named = compared(variant, variant, {"inter_token_seconds_p95": 0.1})
    assert [change.metric for change in named.changes] == [DECODE, "inter_token_seconds_p95"]


def test_the_metrics_of_speed_that_are_judged_can_be():
    assert [metric for metric in JUDGED if not may_be_judged(metric)] == []


def test_what_has_no_direction_is_not_judged():
    variant = a_variant(
        exact={SIZE: 1.0}, quality=[Fact("kl_divergence", value=0.1), Fact("quantised_share", value=0.5)]
    )
    assert [change.metric for change in compared(variant, variant).changes] == [SIZE]


def test_timings_are_corrected_for_drift():
    base = a_variant(rounds={DECODE: QUIET, "control_seconds": QUIET})
    new = a_variant(rounds={DECODE: times(QUIET, 1 / 1.08), "control_seconds": times(QUIET, 1.08)})
    found = compared(base, new)
    assert found.overall == "unchanged"
    assert found.drifts[""].control == pytest.approx(1.08)


def test_nothing_timed_is_decided_where_the_machine_moved():
    base = a_variant(exact={SIZE: 5.0}, rounds={DECODE: QUIET, "control_seconds": QUIET})
    new = a_variant(exact={SIZE: 5.0}, rounds={DECODE: times(QUIET, 0.5), "control_seconds": times(QUIET, 1.2)})
    found = compared(base, new)
    assert verdict(found, DECODE).reason == "the machine itself moved by 20%"
    assert verdict(found, SIZE).verdict == "unchanged"
    assert found.overall == "undecided"


def test_timings_of_another_machine_are_undecided_and_the_rest_is_judged():
    base = a_variant(exact={SIZE: 5.0}, rounds={DECODE: QUIET}, quality=[perplexity()], memory=2.0**30)
    new = a_variant(exact={SIZE: 6.0}, rounds={DECODE: times(QUIET, 0.5)}, quality=[perplexity()], memory=2.0**31)
    found = compared(base, new, infos=(None, info_with(environment={"threads": 4, "versions": {"torch": "2.12.0"}})))
    reason = "measured under other conditions: threads: 2 against 4; torch 2.13.0 against 2.12.0"
    assert verdict(found, DECODE).reason == reason
    assert found.differences == ("threads: 2 against 4", "torch 2.13.0 against 2.12.0")
    assert verdict(found, SIZE).verdict == "regressed"
    assert verdict(found, "perplexity").verdict == "unchanged"


def test_memory_that_was_read_once_is_judged_only_where_a_threshold_names_it():
    base = a_variant(exact={SIZE: 5.0}, memory=2.0**30)
    new = a_variant(exact={SIZE: 5.0}, memory=2.0**31)
    assert "peak_memory_bytes" not in [change.metric for change in compared(base, new).changes]
    found = compared(base, new, thresholds={"peak_memory_bytes": 0.1})
    assert verdict(found, "peak_memory_bytes").verdict == "undecided"


def test_timings_under_another_protocol_are_undecided():
    base = a_variant(rounds={DECODE: QUIET}, protocol={"prompt_tokens": 128})
    new = a_variant(rounds={DECODE: QUIET}, protocol={"prompt_tokens": 64})
    assert verdict(compared(base, new), DECODE).reason == "the protocols differ: prompt_tokens: 128 against 64"


def test_fractions_of_the_limit_stand_in_for_speeds_of_different_machines():
    def with_limit(decode):
        machine = make_task("limits", replace(make_subject("machine"), device="cpu"), Fact("read_bandwidth", value=1e3))
        return [*machine, *a_variant(exact={"step_bytes": 5.0}, rounds={DECODE: decode})]

    base, new = with_limit(QUIET), with_limit(times(QUIET, 0.5))
    assert compared(base, new).fractions == ()
    (found,) = compared(base, new, infos=(None, info_with(environment={"cpu": "Other CPU"}))).fractions
    assert (found.variant, found.metric) == (VARIANT, "decode_fraction_of_limit")
    assert (found.base, found.new) == pytest.approx((0.5005, 0.25025))


@pytest.mark.parametrize(("factor", "expected"), [(1.05, "regressed"), (0.95, "improved"), (1.0001, "unchanged")])
def test_quality_is_paired_by_document(factor, expected):
    base = a_variant(quality=[perplexity()])
    new = a_variant(quality=[perplexity([each * factor for each in NATS])])
    found = compared(base, new)
    assert found.overall == expected
    assert found.changes[0].judgement.ratio.method == "paired, clustered by document"


def test_the_same_sums_are_unchanged_without_a_doubt():
    variant = a_variant(quality=[perplexity()])
    judgement = verdict(compared(variant, variant), "perplexity")
    assert (judgement.verdict, judgement.ratio.value, judgement.ratio.method) == ("unchanged", 1.0, "exact values")


@pytest.mark.parametrize(
    "metric", [name for name in METRICS if METRICS[name].measure == "quality" and may_be_judged(name)]
)
def test_every_quality_with_a_direction_can_be_judged(metric):
    more = [each * 1.3 for each in RIGHT]
    if metric.endswith("perplexity") or metric in ("bits_per_byte", "pseudo_perplexity_by_token"):
        base, new = quality_fact(metric, NATS), quality_fact(metric, [each * 1.3 for each in NATS])
    else:
        base, new = item_fact(metric, RIGHT), item_fact(metric, more)
    judgement = verdict(compared(a_variant(quality=[base]), a_variant(quality=[new])), metric)
    assert judgement.ratio.low is not None


def test_perplexities_of_different_tokenizers_are_undecided():
    base = a_variant(quality=[perplexity()])
    new = a_variant(quality=[perplexity()], about=make_subject(tokenizer="tokenizer-2"))
    judgement = verdict(compared(base, new), "perplexity")
    assert (judgement.verdict, "tokenizers differ" in judgement.reason) == ("undecided", True)


def test_quality_on_another_corpus_is_undecided():
    variant = a_variant(quality=[perplexity()])
    found = compared(variant, variant, infos=(None, info_with(corpus={"hash": "def"})))
    assert verdict(found, "perplexity").reason == "scored on something else: corpus letters: other text"


def test_quality_without_documents_is_undecided():
    base, new = (a_variant(quality=[Fact("perplexity", value=value)]) for value in (20.0, 30.0))
    assert verdict(compared(base, new), "perplexity").reason == "no documents in common"


def test_a_metric_that_is_no_longer_measured_is_undecided():
    found = compared(a_variant(exact={SIZE: 5.0, "parameters": 2.0}), a_variant(exact={SIZE: 5.0}))
    change = next(each for each in found.changes if each.metric == "parameters")
    assert (change.base, change.new, change.judgement.reason) == (2.0, None, "not measured in the new run")
    assert math.isnan(change.judgement.ratio.value)
    assert found.overall == "undecided"


def test_a_metric_that_is_new_is_not_judged():
    found = compared(a_variant(exact={SIZE: 5.0}), a_variant(exact={SIZE: 5.0, "parameters": 2.0}))
    assert [change.metric for change in found.changes] == [SIZE]
    assert found.overall == "unchanged"


@pytest.mark.parametrize("status", ["failed", "timeout", "out-of-memory", "crashed"])
def test_a_variant_that_newly_fails_is_a_regression(status):
    good, other = a_variant(exact={SIZE: 5.0}), a_variant(OTHER, exact={SIZE: 5.0})
    found = compared([good, other], [good, failed(OTHER, status)])
    assert found.overall == "regressed"
    ((variant),) = found.newly_failing
    assert (variant.variant, variant.status, variant.reason) == (OTHER, status, "no kernel")


def test_a_run_in_which_everything_fails_now_is_a_regression():
    assert compared(a_variant(exact={SIZE: 5.0}), failed()).overall == "regressed"


def test_a_variant_that_failed_before_too_is_neither():
    good = a_variant(exact={SIZE: 5.0})
    found = compared([good, failed(OTHER)], [good, failed(OTHER)])
    assert (found.overall, found.newly_failing, found.removed) == ("unchanged", (), ())


def test_a_variant_that_fails_no_longer_is_listed():
    good = a_variant(exact={SIZE: 5.0})
    found = compared([good, failed(OTHER)], [good, a_variant(OTHER, exact={SIZE: 5.0})])
    assert (found.overall, found.newly_ok) == ("unchanged", (OTHER,))


def test_a_variant_that_is_gone_leaves_the_whole_undecided():
    good, other = a_variant(exact={SIZE: 5.0}), a_variant(OTHER, exact={SIZE: 5.0})
    found = compared([good, other], good)
    assert found.overall == "undecided"
    assert [(each.variant, each.status) for each in found.removed] == [(OTHER, "not in the new run")]


@pytest.mark.parametrize("status", ["skipped", "interrupted"])
def test_a_variant_that_is_skipped_or_unfinished_now_leaves_the_whole_undecided(status):
    good, other = a_variant(exact={SIZE: 5.0}), a_variant(OTHER, exact={SIZE: 5.0})
    found = compared([good, other], [good, failed(OTHER, status, "no network")])
    assert found.overall == "undecided"
    assert [(each.variant, each.status, each.reason) for each in found.removed] == [(OTHER, status, "no network")]


def test_a_variant_that_is_new_is_listed():
    good, other = a_variant(exact={SIZE: 5.0}), a_variant(OTHER, exact={SIZE: 5.0})
    found = compared(good, [good, other])
    assert (found.overall, found.added) == ("unchanged", (OTHER,))


def test_a_regression_weighs_more_than_what_is_undecided_and_that_more_than_an_improvement():
    base = a_variant(exact={SIZE: 5.0, "parameters": 5.0, "step_bytes": 5.0})
    assert compared(base, a_variant(exact={SIZE: 6.0, "parameters": 4.0})).overall == "regressed"
    assert compared(base, a_variant(exact={SIZE: 4.0, "parameters": 5.0})).overall == "undecided"
    assert compared(base, a_variant(exact={SIZE: 4.0, "parameters": 5.0, "step_bytes": 5.0})).overall == "improved"


def test_one_change_among_many_metrics_could_be_a_false_alarm():
    names = [f"mini-{number}/torch/fp32/cpu" for number in range(30)]
    base = [a_variant(name, rounds={DECODE: QUIET}) for name in names]
    new = [a_variant(name, rounds={DECODE: times(QUIET, 0.5 if name == names[3] else 1.0)}) for name in names]
    found = compared(base, new)
    judgement = found.changes[3].judgement
    assert judgement.verdict == "undecided"
    assert judgement.reason == "could be a false alarm among 30 metrics (p = 0.0022); 7 rounds in each run could tell"
    assert judgement.more_blocks is None


def test_what_was_not_tested_makes_no_other_test_harder():
    base, new = (a_variant(rounds={DECODE: times(QUIET, f)}, exact={SIZE: 5.0}) for f in (1.0, 0.5))
    many = [a_variant(f"mini-{n}/torch/fp32/cpu", memory=2.0**30, quality=[perplexity()]) for n in range(60)]
    assert compared([base, *many], [new, *many]).changes[1].judgement.verdict == "regressed"


def change_of(metric, verdict, variant=VARIANT):
    judgement = Judgement(verdict, Estimate(0.5, 0.4, 0.6, 20, "order statistics of the median"), 0.03, p_value=1e-6)
    return Change(variant, metric, 100.0, 50.0, judgement)


def test_timings_that_were_measured_side_by_side_take_the_place_of_stored_ones():
    variant = a_variant(exact={SIZE: 5.0}, rounds={DECODE: QUIET, LOAD: QUIET})
    timing = change_of(DECODE, "regressed")
    elsewhere = info_with(environment={"threads": 4})
    found = compared(variant, variant, timings={(VARIANT, DECODE): timing}, infos=(None, elsewhere))
    assert [change.metric for change in found.changes] == [SIZE, DECODE]
    assert found.changes[1] == timing
    assert (found.overall, found.drifts) == ("regressed", {})


def test_runs_without_timings_of_their_own_are_whole_where_they_are_timed_side_by_side():
    def scored(*names):
        return [
            each for name in names for each in a_variant(name, exact={SIZE: 5.0}) if each.kind in ("variant", "score")
        ]

    timings = {(VARIANT, DECODE): change_of(DECODE, "unchanged")}
    assert compared(scored(VARIANT), scored(VARIANT), timings=timings).overall == "unchanged"
    found = compared(scored(VARIANT, OTHER), [*scored(VARIANT), *failed(OTHER)], timings=timings)
    assert [each.variant for each in found.newly_failing] == [OTHER]


@pytest.mark.parametrize("empty", ["old", "newer"])
def test_a_run_without_a_variant_is_an_error(empty):
    good = a_run("good", a_variant(exact={SIZE: 5.0}))
    runs = (a_run(empty), good) if empty == "old" else (good, a_run(empty))
    with pytest.raises(HarnessError, match=f"nothing to compare: '{empty}' has no variant"):
        compare_runs(*runs, {})


@pytest.mark.parametrize(
    ("base", "new"),
    [
        (a_variant(exact={SIZE: 5.0}), a_variant(OTHER, exact={SIZE: 5.0})),
        (a_variant(exact={SIZE: 5.0}), a_variant(exact={"parameters": 5.0})),
        (failed(), failed()),
    ],
)
def test_runs_without_a_metric_in_common_are_an_error(base, new):
    with pytest.raises(HarnessError, match="nothing to compare: 'old' and 'newer' have no metric"):
        compared(base, new)


def test_a_run_is_not_compared_with_itself():
    run = a_run("old", a_variant(exact={SIZE: 5.0}))
    with pytest.raises(HarnessError, match="the same measurements; measure anew"):
        compare_runs(run, replace(run, name="baseline"), {})


def test_accuracy_that_falls_is_a_regression():
    base = a_variant(quality=[item_fact("forced_choice_accuracy", [9.0] * 12)])
    new = a_variant(quality=[item_fact("forced_choice_accuracy", [5.0, 6.0] * 6)])
    assert compared(base, new).overall == "regressed"
