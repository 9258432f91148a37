"""The report of a study, from blocks made by hand."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from harness.errors import HarnessError
from harness.records.blocks import AGAIN, BASE, Block
from harness.reporting import error_rates
from harness.reporting.error_rates import study_report
from harness.selection.error_rates import SAME, SLOWER, Study
from harness.stats.verdicts import CONFIRMING

DECODE, LOAD = "decode_tokens_per_second", "load_seconds"
ENVIRONMENT = {"cpu": "Example | CPU", "cores": 2, "threads": 2, "memory_bytes": 2**33, "system": "Linux"}


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(error_rates, "RESAMPLES", 20)


def block(number: int, order: random.Random, **other) -> Block:
    """A block of all seven arms on a quiet machine: each slower arm decodes slower by just its share."""

    def arm(share: float = 0.0) -> dict[str, float]:
        return {DECODE: 100.0 / (1 + share) * order.gauss(1, 0.001), LOAD: 0.5 * order.gauss(1, 0.001)}

    arms = {name: arm() for name in (BASE, AGAIN, SAME)} | {name: arm(share) for name, share in SLOWER.items()}
    return Block("mini/torch/fp32/cpu", number, arms, seconds=7.0, **other)


def study(count: int, disturbed: int = 0) -> Study:
    order = random.Random(0)
    good = [block(number, order) for number in range(count)]
    bad = [block(count + number, order, disturbed=("throttled",)) for number in range(disturbed)]
    return Study([*good, *bad], ENVIRONMENT, "harness study")


def lines_with(text: str, *words: str) -> list[list[str]]:
    """The cells of the table lines that hold all words."""
    rows = [line for line in text.splitlines() if line.startswith("|") and all(word in line for word in words)]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_no_blocks_are_said_to_be_none():
    text = study_report([study(0)])
    assert text.startswith("# Error rates of the verdicts\n\nNo block was measured.\n")
    assert "## Power" not in text


def test_disturbed_blocks_alone_are_none():
    assert "No block was measured." in study_report([study(0, disturbed=3)])


def test_it_says_how_many_blocks_there_are_and_how_many_were_disturbed():
    text = study_report([study(12, disturbed=2)])
    assert "`mini/torch/fp32/cpu`, 12 blocks of 7 arms" in text
    assert "2 blocks were disturbed and are not used." in " ".join(text.split())


def test_a_quiet_machine_raises_no_false_alarm():
    text = study_report([study(40)])
    assert "**0 of " in text
    alarms = text.partition("## Power")[0]
    assert "\n- " not in alarms
    assert {tuple(line[5:]) for line in lines_with(alarms, "0")} == {("0", "0")}


def test_a_false_alarm_is_listed_with_its_metric_and_arm():
    made = study(40)
    for each in made.blocks:
        each.arms[SAME][LOAD] *= 2
    alarms = study_report([made]).partition("## Power")[0]
    assert "- load_seconds regressed (same)" in alarms
    (load,) = lines_with(alarms, "load")
    assert int(load[5]) > 0


@pytest.mark.parametrize("count", [1, 5])
def test_too_few_blocks_for_a_comparison_are_said_to_be_too_few(count):
    text = study_report([study(count)])
    assert "There are too few blocks for a comparison." in text
    (row,) = lines_with(text, "slower by 20 %")
    assert row[2:] == ["–", "–", "–"]


def test_large_slow_downs_are_found_and_small_ones_are_not():
    text = study_report([study(6 * (12 + CONFIRMING))])
    (twenty,) = lines_with(text, "slower by 20 %")
    assert twenty[1].startswith("0.833 [")
    assert twenty[3] == "100.0%"
    (two,) = lines_with(text, "slower by 2 %")
    assert two[3] == "0.0%"


def test_only_what_the_extra_work_slows_stands_in_the_table_of_power():
    table = study_report([study(12)]).partition("## Power")[2].partition("## What")[0]
    assert len(lines_with(table, "slower by")) == len(SLOWER)
    assert not lines_with(table, "load")


def test_minutes_are_those_of_three_arms():
    """Seven arms take 7 s a block, three take 3; at most so many blocks."""
    text = study_report([study(6 * (12 + CONFIRMING))])
    (row,) = lines_with(text, "slower by 20 %")
    took = [
        each.blocks for each in error_rates.comparisons(study(6 * (12 + CONFIRMING)).blocks, "slower by 20 %", DECODE)
    ]
    assert row[4] == f"{max(took) * 3 / 60:.1f}"


def test_the_noise_of_every_metric_is_told():
    table = study_report([study(40)]).partition("## What the machine allows")[2].partition("## Environment")[0]
    (decode,), (load,) = lines_with(table, "decode"), lines_with(table, "load")
    assert decode[2].endswith("%")
    assert 0 < float(decode[2].rstrip("%")) < 1
    assert len(load) == 7


def test_the_environment_and_the_command_are_told():
    text = study_report([study(6)])
    assert "- CPU: Example &#124; CPU, 2 cores" in text
    assert text.endswith("## Reproduce\n\n```\nharness study\n```\n")


def test_studies_add_up_and_no_comparison_in_a_row_is_of_two_of_them():
    text = study_report([study(5), study(7)])
    assert "12 blocks of 7 arms in 2 runs (5 + 7)" in text
    assert lines_with(text, "decode", "1", "0")[0][2:] == ["1", "1", "0", "0", "0"]
    assert text.count("- CPU: Example") == 1
    assert text.endswith("```\nharness study\nharness study\n```\n")


def test_studies_of_several_variants_do_not_add_up():
    order = random.Random(0)
    other = Study([replace(block(0, order), variant="mini/torch/int8/cpu")], ENVIRONMENT, "harness study")
    with pytest.raises(HarnessError, match="mini/torch/fp32/cpu, mini/torch/int8/cpu"):
        study_report([study(6), other])
