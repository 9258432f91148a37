"""What a report says of the machines of a run on a cluster, and of its kinds side by side."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from builders import make_row, make_subject, make_task, plainly, timed
from stored_runs import INFO, QUIET, HandMade, a_run, a_variant, times

from harness.language.say import speaking
from harness.records.record import Fact, Subject
from harness.records.rows import make_rows
from harness.reporting.exports import rows_json
from harness.reporting.machines import kinds_table, machines_table
from harness.reporting.markdown import report
from harness.reporting.model_card import model_card
from harness.reporting.page.render import report_html
from harness.reporting.timing import timing_sentences
from harness.reporting.verdicts import verdict_report
from harness.selection.regressions import Verdicts
from harness.selection.stored_rounds import Drift

PREFILL, DECODE, ENCODE = "prefill_tokens_per_second", "decode_tokens_per_second", "encode_tokens_per_second"
ABOUT = INFO["environment"]
MACHINES = [
    {**ABOUT, "hash": "env-small", "cpu": "Small|CPU", "kind": "small", "nodes": 3},
    {**ABOUT, "hash": "env-large", "cpu": "Large CPU", "cores": 64, "isa": ["avx512_vnni"],
                  "gpus": ["H100, 550.1, 80 GiB"], "kind": "large", "nodes": 1},
    {**ABOUT, "hash": "env-none", "kind": "", "nodes": 1},
]  # fmt: skip


def measured(variant: str, factor: float, precision_share: float = 0.0):
    """A variant that was measured on the machine of its kind, at 100 tokens/s times a factor."""
    kind = make_subject(variant).machine
    control = [0.01 if kind == "small" else 0.002] * 6
    rounds = {DECODE: times(QUIET, factor), PREFILL: times(QUIET, 10 * factor), "control_seconds": control}
    records = a_variant(variant, {"quantised_share": precision_share}, rounds)
    return [replace(record, environment=f"env-{kind}") for record in records]


def limits(kind: str, bandwidth: float):
    subject = Subject(f"machine/cpu@{kind}", "", "", "", device="cpu", machine=kind)
    return make_task("limits", subject, Fact("read_bandwidth", value=bandwidth))


@pytest.fixture
def run() -> HandMade:
    return a_run(
        "cluster",
        limits("small", 1e9),
        limits("large", 8e9),
        measured("gpt/torch/fp32/cpu@small", 1.0),
        measured("gpt/torch/fp32/cpu@large", 4.0),
        measured("gpt/torch/int8/cpu@small", 0.5, 0.9),
        measured("gpt/torch/int8/cpu@large", 2.0, 0.9),
        measured("gpt/onnxruntime/fp32/cpu@large", 5.0),
        info={**INFO, "machines": MACHINES},
    )


def test_the_machines_stand_in_a_table_with_the_variants_that_were_timed_there(run, parse):
    headers, lines = parse(report(run)).table_with("variants timed")
    assert headers == ["kind", "CPU", "cores", "memory", "GPUs", "nodes", "variants timed"]
    assert lines == [
        ["`small`", "Small&#124;CPU", "2", "8.000 GiB", "none", "3", "2"],
        ["`large`", "Large CPU", "64", "8.000 GiB", "H100, 550.1, 80 GiB", "1", "3"],
        ["–", "Example CPU", "2", "8.000 GiB", "none", "1", "0"],
    ]


def test_the_machine_that_the_run_was_started_on_is_told_apart_from_them(run):
    text = report(run).split("## Environment\n\n")[1]
    table, rest = text.split("The run was started on this machine;")
    assert "- Limits of cpu@small: read bandwidth 1.000 GB/s\n- Limits of cpu@large: read bandwidth 8.000 GB/s" in table
    assert "- CPU: Example CPU, 2 cores" in rest


def test_a_run_that_lists_no_machines_has_no_such_table(run):
    text = report(replace(run, info=INFO))
    assert machines_table(INFO, run.records()) is None
    assert "## Environment\n\n- CPU: Example CPU, 2 cores, 2 threads used, ISA avx2\n" in text
    assert "The run was started on" not in text


def test_a_model_card_has_the_table_too(run):
    assert "variants timed" in model_card(run).split("## Machine\n")[1]


def test_each_variant_that_ran_on_two_kinds_has_a_line_for_each_with_the_ratio_to_the_first(run, parse):
    headers, lines = parse(report(run)).table_with("decode, ratio")
    assert headers == ["variant", "kind", "prefill", "prefill, ratio", "decode", "decode, ratio"]
    assert [line[:2] for line in lines] == [
        ["`gpt/torch/fp32/cpu`", "`small`"],
        ["`gpt/torch/fp32/cpu`", "`large`"],
        ["`gpt/torch/int8/cpu`", "`small`"],
        ["`gpt/torch/int8/cpu`", "`large`"],
    ]
    assert [line[5] for line in lines[::2]] == ["–", "–"]
    assert all(line[5].startswith("4.000 [3.960, 4.0") for line in lines[1::2])
    assert lines[1][4].startswith("400.4 [396.0, 404.0]")


def test_what_ran_on_one_kind_alone_is_not_in_it(run):
    assert "onnxruntime" not in str(kinds_table(make_rows(run.records())))
    assert kinds_table([make_row(metrics={DECODE: timed(QUIET)})]) is None


def test_encoders_are_compared_by_what_they_encode():
    rows = [make_row(f"bert/torch/fp32/cpu@{kind}", {ENCODE: timed(QUIET)}, "masked") for kind in ("a", "b")]
    assert plainly(kinds_table(rows)).headers == ("variant", "kind", "encode", "encode, ratio")


def test_a_variant_that_failed_on_the_other_kind_is_not_compared():
    rows = [
        make_row("gpt/torch/fp32/cpu@a", {DECODE: timed(QUIET)}),
        make_row("gpt/torch/fp32/cpu@b", {DECODE: timed(QUIET)}, status="failed"),
    ]
    assert kinds_table(rows) is None


def test_too_few_rounds_give_a_ratio_without_an_interval():
    rows = [
        make_row(f"gpt/torch/fp32/cpu@{kind}", {DECODE: timed([speed] * 3)}) for kind, speed in (("a", 1), ("b", 2))
    ]
    assert [line[3] for line in plainly(kinds_table(rows)).lines] == ["–", "2.00"]


def test_ratios_to_the_parent_are_within_a_kind(run, parse):
    document = parse(report(run))
    _, lines = next(
        table for table in document.bare_tables if table[0][:2] == ["variant", "prefill"] and len(table[1]) == 3
    )
    assert {line[0]: line[2][:4] for line in lines} == {
        "`gpt/torch/int8/cpu@small`": "0.50",
        "`gpt/torch/int8/cpu@large`": "0.50",
        "`gpt/onnxruntime/fp32/cpu@large`": "1.25",
    }


def test_why_a_variant_is_slower_is_told_from_the_instructions_of_its_kind(run):
    text = report(run).split("### Slower than fp32\n\n")[1].split("\n\n")[0]
    prefill = [line for line in text.splitlines() if ": prefill at" in line]
    small, large = (next(line for line in prefill if f"int8/cpu@{kind}`" in line) for kind in ("small", "large"))
    assert "this CPU has neither VNNI nor AMX" in small
    assert "this CPU has int8 instructions" in large


def test_the_control_workload_is_told_by_kind(run):
    assert timing_sentences(run.records()) == [
        "On `small`: The control workload took 10.0 ms and moved by 0.0 % between rounds.",
        "On `large`: The control workload took 2.000 ms and moved by 0.0 % between rounds.",
    ]


def test_a_run_without_kinds_has_no_word_of_them():
    plain = a_run("plain", a_variant("gpt/torch/fp32/cpu", rounds={DECODE: QUIET, "control_seconds": [0.01] * 6}))
    text = report(plain)
    assert "side by side" not in text
    assert "On `" not in text


def test_the_drift_of_two_runs_is_told_by_kind():
    text = verdict_report(Verdicts("old", "new", "unchanged", (), drifts={"small": Drift(1.02), "large": Drift(None)}))
    assert "On `small`: The control workload took 1.020 times as long in the new run;" in text
    assert "On `large`: No control workload was timed in both runs" in text


def test_exports_have_the_kind(run):
    assert [each["machine"] for each in json.loads(rows_json(make_rows(run.records())))][:2] == ["small", "large"]


def test_the_page_and_the_french_report_have_both_tables(run):
    page = report_html(run)
    assert "The kinds side by side" in page
    assert "variants timed" in page
    with speaking("fr"):
        text = report(run)
    for words in (
        "Les types de machine côte à côte",
        "variantes chronométrées",
        "décodage, rapport",
        "Sur `small`\u00a0:",
    ):
        assert words in text
    for words in ("kind of machine", "side by side", "The run was started", "control workload"):
        assert words not in text
