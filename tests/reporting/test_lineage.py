"""What students kept of their teachers, from records made by hand."""

from __future__ import annotations

import math

import pytest
from builders import make_subject, make_task, plainly, quality_fact

from harness.records.record import Fact
from harness.records.rows import make_rows
from harness.reporting.lineage import lineage_table


def candidate(name: str, origin: str, perplexity: float, parameters: float, tokens: int, teacher: str | None = None,
              finished: bool = True):  # fmt: skip
    """The records of a candidate in fp32 torch, measured to its end unless told otherwise."""
    subject = make_subject(f"{name}/torch/fp32/cpu", origin=origin)
    about = {"tokens": tokens, "teacher": teacher, "unigram_loss": 6.0}
    losses = Fact("validation_loss", value=4.0, samples=[{"tokens": tokens, "loss": 4.0}], protocol=about)
    trained = make_task("candidate", make_subject(name, origin=origin), Fact("parameters", value=parameters), losses)
    nats = [100 * math.log(perplexity) + aside for aside in (-1.0, 0.0, 1.0)]
    measured = make_task("score", subject, quality_fact("perplexity", nats))
    rest = [*make_task("memory", subject), *make_task("time", subject, round=0)] if finished else []
    return [*trained, *measured, *rest]


@pytest.fixture
def records():
    return [
        *candidate("teacher", "trained", 20.0, 100, 5000),
        *candidate("student", "distilled", 22.0, 50, 3000, "teacher"),
        *candidate("alone", "trained", 33.0, 50, 3000),
        *candidate("longer", "trained", 21.0, 50, 9000),
    ]


def lines(records) -> dict[str, dict[str, str]]:
    table = lineage_table(records, make_rows(records))
    shown = plainly(table)
    return {line[1]: dict(zip(shown.headers, line, strict=True)) for line in shown.lines}


def test_a_student_stands_beside_its_teacher_and_the_control_of_its_size_and_budget(records):
    found = lines(records)
    assert list(found) == ["teacher `teacher`", "control `alone`"]
    assert {line["variant"] for line in found.values()} == {"`student/torch/fp32/cpu`"}


def test_ratios_are_those_of_the_student_to_what_it_stands_beside(records):
    found = lines(records)
    assert found["teacher `teacher`"]["perplexity"].startswith("1.10")
    assert found["control `alone`"]["perplexity"].startswith("0.6666")
    assert found["teacher `teacher`"]["parameters"] == "0.50"


def test_an_unfinished_student_stands_beside_nobody():
    teacher = candidate("teacher", "trained", 20.0, 100, 5000)
    student = candidate("student", "distilled", 22.0, 50, 3000, "teacher", finished=False)
    assert lineage_table([*teacher, *student], make_rows([*teacher, *student])) is None


def test_ratios_say_which_direction_is_better(records):
    table = lineage_table(records, make_rows(records))
    assert table is not None
    assert [str(header) for header in table.headers] == ["variant", "against", "perplexity\u00a0↓", "parameters\u00a0↓"]


def test_without_a_teacher_in_the_run_there_is_no_table():
    alone = candidate("teacher", "trained", 20.0, 100, 5000)
    assert lineage_table(alone, make_rows(alone)) is None
