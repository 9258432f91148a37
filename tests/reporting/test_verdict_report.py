from __future__ import annotations

import json
import math

import pytest

from harness.reporting.verdicts import verdict_report, verdict_sentence, verdicts_json
from harness.selection.regressions import Change, FractionChange, VariantStatus, Verdicts
from harness.selection.stored_rounds import NOT_COMPARED, Drift
from harness.stats.intervals import Estimate
from harness.stats.verdicts import Judgement

DECODE, LOAD, SIZE = "decode_tokens_per_second", "load_seconds", "weights_bytes"
STEADY = Drift(0.98)


def change(verdict, metric=DECODE, variant="gpt/torch/fp32/cpu", base=100.0, new=50.0, **about):
    ratio = Estimate(new / base, new / base * 0.9, new / base * 1.1, 6, "ordered differences of two samples")
    judgement = Judgement(verdict, about.pop("ratio", ratio), 0.05, **{"p_value": 0.0021, "smallest": 0.08, **about})
    return Change(variant, metric, base, new, judgement)


def exact(verdict, base, new):
    ratio = Estimate(new / base, new / base, new / base, 1, "exact values")
    return change(verdict, SIZE, base=base, new=new, ratio=ratio, smallest=None)


def apart(metric, variant, reason):
    return change("undecided", metric, variant, ratio=Estimate(math.nan, None, None, 0, NOT_COMPARED), reason=reason)


def verdicts(*changes, overall="regressed", drift=STEADY, **other):
    return Verdicts("old", "new", overall, changes, drifts={} if drift is None else {"": drift}, **other)


EVERYTHING = verdicts(
    change("regressed"),
    exact("regressed", 2.0**20, 2.0**21),
    change("improved", LOAD, base=0.2, new=0.1),
    change("undecided", variant="bert/torch/fp32/cpu", reason="the interval reaches across the bound", more_blocks=3),
    *(apart(LOAD, f"{name}/torch/fp32/cpu", "measured under other conditions: threads: 2 against 4") for name in "ab"),
    change("unchanged", LOAD, smallest=0.06),
    change("unchanged", LOAD, variant="b", smallest=0.12),
    exact("unchanged", 5.0, 5.0),
    added=("new/torch/fp32/cpu",),
    removed=(VariantStatus("gone/torch/fp32/cpu", "not in the new run"),),
    newly_failing=(VariantStatus("bad/torch/fp32/cpu", "failed", "no kernel for a|b\nin <int8>"),),
    newly_ok=("well/torch/fp32/cpu",),
    differences=("threads: 2 against 4",),
    fractions=(FractionChange("gpt/torch/fp32/cpu", "decode_fraction_of_limit", 0.5, 0.25),),
)


def test_the_verdict_comes_first():
    text = verdict_report(EVERYTHING)
    assert text.startswith("**Regressed**: 2 of 9 metrics regressed, 1 variant fails newly, ")
    assert text.splitlines()[0] == verdict_sentence(EVERYTHING)


def test_the_sentence_counts_everything():
    assert verdict_sentence(EVERYTHING) == (
        "**Regressed**: 2 of 9 metrics regressed, 1 variant fails newly, 1 variant is no longer measured, "
        "1 of 9 improved, 3 of 9 undecided, 3 of 9 unchanged."
    )
    assert verdict_sentence(verdicts(change("unchanged"), overall="unchanged")) == "**Unchanged**: 1 of 1 unchanged."


def test_the_worst_comes_before_the_rest(parse):
    assert parse(verdict_report(EVERYTHING)).headings == [
        "Regressions",
        "Newly failing",
        "No longer measured",
        "Improvements",
        "Undecided",
        "Unchanged",
        "Newly measured",
        "No longer failing",
        "Fractions of the limit",
        "What differs",
        "How it was judged",
    ]


def test_sections_without_content_are_left_out(parse):
    document = parse(verdict_report(verdicts(change("unchanged"), overall="unchanged")))
    assert document.headings == ["Unchanged", "How it was judged"]


def test_a_regression_is_told_with_its_values_and_its_interval(parse):
    headers, lines = parse(verdict_report(EVERYTHING)).tables[0]
    assert headers == ["variant", "metric", "base", "new", "new / base", "counts from", "p"]
    decode = ["`gpt/torch/fp32/cpu`", "decode", "100 tokens/s", "50.0 tokens/s", "0.500 [0.450, 0.550]", "5.0%",
              "0.0021"]  # fmt: skip
    size = ["`gpt/torch/fp32/cpu`", "weights", "1.000 MiB", "2.000 MiB", "2.00", "5.0%", "exact"]
    assert lines == [decode, size]


def test_what_is_undecided_says_why_and_what_would_decide(parse):
    _, (line,) = parse(verdict_report(EVERYTHING)).table_with("found from")
    assert (line[2], line[-1]) == ("the interval reaches across the bound; 3 more blocks would decide", "8.0%")


def test_what_was_not_compared_is_told_once_a_reason():
    text = verdict_report(EVERYTHING)
    assert "- load of 2 variants: measured under other conditions: threads: 2 against 4" in text
    one = verdict_report(verdicts(apart(LOAD, "a/torch/fp32/cpu", "every round was disturbed"), overall="undecided"))
    assert "- load of `a/torch/fp32/cpu`: every round was disturbed" in one


def test_what_is_unchanged_is_counted_with_what_would_have_been_found(parse):
    _, lines = parse(verdict_report(EVERYTHING)).table_with("unchanged")
    assert lines == [["load", "2", "6.0% to 12.0%"], ["weights", "1", "any change"]]


def test_reasons_stay_in_their_cells(parse):
    document = parse(verdict_report(EVERYTHING))
    _, (line,) = document.tables[1]
    assert line == ["`bad/torch/fp32/cpu`", "failed", "no kernel for a&#124;b in &lt;int8&gt;"]
    assert document.html == []


def test_fractions_have_no_verdict(parse):
    document = parse(verdict_report(EVERYTHING))
    _, (line,) = document.table_with("fraction of the limit")
    assert line == ["`gpt/torch/fp32/cpu`", "decode, of the limit", "50.0 %", "25.0 %"]
    assert "For information, without a verdict" in verdict_report(EVERYTHING)


@pytest.mark.parametrize(
    ("drift", "words"),
    [
        (Drift(0.98), "The control workload took 0.980 times as long in the new run; ratios of what was timed"),
        (Drift(1.2), "1.200 times as long in the new run: the machine itself moved by 20%."),
        (Drift(None), "No control workload was timed in both runs"),
        (Drift(1.0, disturbed=7), "7 readings that were taken while the machine was busy are left out."),
        (None, "measured side by side in blocks"),
    ],
)
def test_the_report_says_what_was_done_about_drift(drift, words):
    assert words in verdict_report(verdicts(change("unchanged"), overall="unchanged", drift=drift))


def test_the_report_says_that_stored_runs_cannot_be_confirmed():
    words = "cannot be confirmed by fresh measurements; `harness ab`"
    assert words in verdict_report(EVERYTHING)
    assert words not in verdict_report(verdicts(change("unchanged"), overall="unchanged", drift=None))


def test_what_was_compared_follows_the_verdict():
    lines = verdict_report(EVERYTHING, ["Base is `old`.", "New is <new>."]).splitlines()
    assert lines[2:5] == ["Base is `old`.", "", "New is &lt;new&gt;."]


def test_json_holds_every_change():
    body = json.loads(verdicts_json(EVERYTHING))
    assert (body["overall"], body["base"], body["new"]) == ("regressed", "old", "new")
    assert body["judged"] == {"regressed": 2, "improved": 1, "undecided": 3, "unchanged": 3}
    first = body["changes"][0]
    assert (first["metric"], first["judgement"]["verdict"], first["judgement"]["ratio"]["value"]) == (
        DECODE,
        "regressed",
        0.5,
    )
    assert body["newly_failing"][0]["status"] == "failed"


def test_json_has_null_for_what_is_no_number():
    infinite = change("regressed", ratio=Estimate(math.inf, math.inf, math.inf, 1, "exact values"))
    body = json.loads(verdicts_json(verdicts(infinite, apart(LOAD, "a", "x"))))
    assert [each["judgement"]["ratio"]["value"] for each in body["changes"]] == [None, None]
