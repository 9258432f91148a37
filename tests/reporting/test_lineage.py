"""What students kept of their teachers, from records made by hand."""

from __future__ import annotations

import math

import pytest
from builders import make_subject, make_task, quality_fact

from harness.records.record import Fact
from harness.records.rows import make_rows
from harness.reporting.lineage import lineage_table


def candidate(name: str, origin: str, perplexity: float, parameters: float, tokens: int, teacher: str | None = None):
    """The records of a candidate in fp32 torch."""
    subject = make_subject(f"{name}/torch/fp32/cpu", origin=origin)
    about = {"tokens": tokens, "teacher": teacher, "unigram_loss": 6.0}
    losses = Fact("validation_loss", value=4.0, samples=[{"tokens": tokens, "loss": 4.0}], protocol=about)
    trained = make_task("candidate", make_subject(name, origin=origin), Fact("parameters", value=parameters), losses)
    nats = [100 * math.log(perplexity) + aside for aside in (-1.0, 0.0, 1.0)]
    return [*trained, *make_task("score", subject, quality_fact("perplexity", nats))]


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
    return {line[1]: dict(zip(table.headers, line, strict=True)) for line in table.lines} if table else {}


def test_a_student_stands_beside_its_teacher_and_the_control_of_its_size_and_budget(records):
    found = lines(records)
    assert list(found) == ["teacher `teacher`", "control `alone`"]
    assert {line["variant"] for line in found.values()} == {"`student/torch/fp32/cpu`"}


def test_ratios_are_those_of_the_student_to_what_it_stands_beside(records):
    found = lines(records)
    assert found["teacher `teacher`"]["perplexity"].startswith("1.10")
    assert found["control `alone`"]["perplexity"].startswith("0.67")
    assert found["teacher `teacher`"]["parameters"] == "0.50"


def test_without_a_teacher_in_the_run_there_is_no_table(records):
    assert lineage_table(records[:4], make_rows(records[:4])) is None
