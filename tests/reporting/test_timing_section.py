"""What a report says of disturbances, the control workload, loading, energy and sweeps."""

from __future__ import annotations

from builders import make_row, make_subject, make_task, plainly, timed

from harness.records.record import Fact
from harness.reporting.timing import energy_line, energy_table, load_table, sweep_table, timing_sentences


def timing(*facts: Fact, variant: str = "mini/torch/fp32/cpu", round: int = 0, **conditions):
    return make_task("time", make_subject(variant), *facts, round=round, conditions=conditions)


def control(before: float, after: float) -> Fact:
    return Fact("control_seconds", (before + after) / 2, n=2, samples=[before, after])


def test_disturbed_timings_are_counted_and_named_with_their_reasons():
    records = [
        *timing(disturbed=[]),
        *timing(round=1, disturbed=["the hypervisor took 3 %", "throttled by the cgroup for 20 ms"]),
    ]
    (sentence,) = timing_sentences(records)
    assert sentence.startswith(
        "Disturbed timings: 1 of 2: `mini/torch/fp32/cpu` in round 2 "
        "(the hypervisor took 3 %; throttled by the cgroup for 20 ms)."
    )


def test_a_dozen_disturbed_timings_are_not_all_named():
    records = [record for number in range(12) for record in timing(round=number, disturbed=["busy"])]
    assert "in round 6 (busy), 6 more." in timing_sentences(records)[0]


def test_undisturbed_timings_are_said_to_be_so():
    assert timing_sentences(timing(disturbed=[])) == [
        "None of 1 timings was disturbed by other processes, a hypervisor or a quota."
    ]


def test_records_of_an_older_run_say_nothing_of_disturbances():
    assert timing_sentences(timing()) == []


def test_how_far_the_control_workload_moved_between_rounds_is_said():
    records = [*timing(control(0.100, 0.100)), *timing(control(0.104, 0.104), round=1)]
    assert timing_sentences(records) == ["The control workload took 102 ms and moved by 3.9 % between rounds."]


def test_a_timing_during_which_the_control_moved_is_flagged():
    records = [
        *timing(control(0.1, 0.1)),
        *timing(control(0.1, 0.1), round=1),
        *timing(control(0.095, 0.107), variant="other/torch/fp32/cpu", round=1),
    ]
    (sentence,) = timing_sentences(records)
    assert "In 1 of 3 timings it moved by more than 10.0 %" in sentence
    assert "(`other/torch/fp32/cpu`)" in sentence


def test_a_timing_away_from_the_median_of_the_control_is_flagged():
    records = [record for number in range(3) for record in timing(control(0.1, 0.1), round=number)]
    records += timing(control(0.12, 0.12), round=3)
    assert "In 1 of 4 timings" in timing_sentences(records)[0]


def test_loading_stands_warm_and_cold_beside_the_first_call():
    row = make_row(metrics={"load_seconds": timed([0.1]), "load_cold_seconds": timed([0.5])})
    table = load_table([row])
    assert table is not None
    assert [str(header) for header in table.headers] == ["variant", "load (ms)\u00a0↓", "load, cold (ms)\u00a0↓"]
    assert plainly(table).lines == (("`mini/torch/fp32/cpu`", "100", "500"),)


def test_joules_a_token_have_a_table_where_there_are_any():
    assert energy_table([make_row(metrics={"load_seconds": timed([0.1])})]) is None
    table = energy_table([make_row(metrics={"decode_joules_per_token": timed([0.25])})])
    assert table is not None
    assert str(table.headers[1]) == "decode energy (J/token)\u00a0↓"
    assert plainly(table).lines == (("`mini/torch/fp32/cpu`", "0.25"),)


def test_energy_that_could_not_be_measured_says_why():
    records = [*timing(energy="not available: no counter"), *timing(round=1, energy="not available: no counter")]
    assert energy_line(records) == "Energy: not available: no counter"
    assert energy_line(timing()) == ""


def test_a_sweep_is_a_line_a_point_with_the_median_over_rounds():
    def swept(decode: float) -> Fact:
        point = {"batch_size": 1, "prompt_tokens": 32}
        fits = {**point, "prefill_tokens_per_second": 1000.0, "decode_tokens_per_second": decode}
        return Fact("sweep", n=2, samples=[fits, {**point, "prompt_tokens": 2048, "left_out": "too long"}])

    records = [
        record for number, rate in enumerate((90.0, 100.0, 400.0)) for record in timing(swept(rate), round=number)
    ]
    table = sweep_table(records)
    assert table is not None
    assert [str(header) for header in table.headers] == [
        "variant", "prompt (tokens)", "batch", "prefill (tokens/s)\u00a0↑", "decode (tokens/s)\u00a0↑", "left out",
    ]  # fmt: skip
    assert table.lines == (
        ("`mini/torch/fp32/cpu`", "32", "1", "1,000", "100", "–"),
        ("`mini/torch/fp32/cpu`", "2,048", "1", "–", "–", "too long"),
    )


def test_no_sweep_has_no_table():
    assert sweep_table(timing(disturbed=[])) is None
