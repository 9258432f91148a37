from __future__ import annotations

from dataclasses import replace

from builders import make_row, single, timed

from harness.reporting.claims import claims_table
from harness.selection.claims import Claim, Range, judge
from harness.selection.claims_file import shipped_claims

SIZE, SPEED = "parameters", "decode_tokens_per_second"
LIGHTER = Claim("60 % lighter", "the note", ("student",), ("teacher",), (SIZE,), Range(0.35, 0.45))
FIGURES = Claim("82 M against 124 M", "the note", ("student",), ("teacher",), (SIZE,), Range(0.65, 0.67))
HEAVY = Claim("1.5 B", "the note", ("teacher",), (), (SIZE,), Range(1.45e9, 1.55e9))
FASTER = Claim("60 % faster", "the note", ("student",), ("teacher",), (SPEED,), Range(1.6))
ROWS = [
    make_row("teacher/torch/fp32/cpu", {SIZE: single(124e6), SPEED: timed([10.0, 10.1, 9.9, 10.0, 10.2, 9.8])}),
    make_row("student/torch/fp32/cpu", {SIZE: single(82e6), SPEED: timed([18.0, 18.2, 17.8, 18.0, 18.4, 17.6])}),
]
CLAIM, SOURCE, CONDITION, ON, MEASURED, VERDICT = range(6)


def lines(*claims, rows=ROWS):
    table = claims_table(judge(claims, rows))
    assert table is not None
    return table.lines


def test_there_is_no_table_of_no_claims():
    assert claims_table([]) is None


def test_a_ratio_stands_with_the_values_that_it_is_of_and_what_was_claimed():
    assert lines(LIGHTER) == (
        (
            "60 % lighter",
            "the note",
            "*parameters*: ratio from 0.35 to 0.45",
            "`student` against `teacher` on `torch/fp32/cpu`",
            "0.661 (82.0 M against 124 M)",
            "**does not hold**",
        ),
    )


def test_a_value_stands_in_the_unit_of_its_metric():
    (line,) = lines(HEAVY)
    assert line[CONDITION] == "*parameters*: from 1,450 M to 1,550 M"
    assert (line[ON], line[MEASURED]) == ("`teacher` on `torch/fp32/cpu`", "124 M")


def test_a_ratio_of_timings_stands_with_its_interval():
    (line,) = lines(FASTER)
    assert line[CONDITION] == "*decode*: ratio at least 1.6"
    assert line[MEASURED].startswith("1.8")
    assert line[VERDICT] == "**holds**"


def test_one_open_end_is_told_as_a_bound():
    (line,) = lines(replace(HEAVY, range=Range(at_most=2e9)))
    assert line[CONDITION] == "*parameters*: at most 2,000 M"


def test_claims_that_contradict_each_other_say_so():
    lighter, figures = lines(LIGHTER, FIGURES)
    assert lighter[VERDICT] == "**does not hold** (contradicts “82 M against 124 M”)"
    assert figures[VERDICT] == "**holds** (contradicts “60 % lighter”)"


def test_an_undecided_claim_says_why():
    rows = [replace(row, metrics={SPEED: timed([5.0, 6.0])}) for row in ROWS]
    (line,) = lines(FASTER, rows=rows)
    assert line[VERDICT] == "undecided: there is no interval (median of 2, too few for an interval)"


def test_what_was_not_measured_comes_last():
    absent = replace(FASTER, text="faster than another", base=("other",))
    assert [line[CLAIM] for line in lines(absent, LIGHTER)] == ["60 % lighter", "faster than another"]


def test_a_statement_that_was_not_measured_by_several_metrics_stands_once():
    absent = replace(FASTER, base=("other",), metrics=(SPEED, SIZE))
    more = replace(absent, base=("another",))
    (line,) = lines(absent, more)
    assert line[CONDITION] == "*decode*, *parameters*: ratio at least 1.6"
    assert (line[ON], line[MEASURED]) == ("–", "–")
    assert line[VERDICT] == "not measured: not in this run: other; not in this run: another"


def test_a_claim_that_no_metric_tells_has_no_condition():
    (line,) = lines(Claim("it translates", "the note", unmeasured="no metric scores translations"))
    assert line[CONDITION] == "–"
    assert line[VERDICT] == "not measured: no metric scores translations"


def test_words_from_a_file_of_claims_stay_words(parse):
    claim = replace(LIGHTER, text="a|b <b>*bold*</b>\n# no heading", source="[x](y)", new=("stu`dent|x",))
    table = claims_table(judge([claim], [make_row("stu`dent|x/torch/fp32/cpu"), ROWS[0]]))
    assert table is not None
    document = parse(table.markdown())
    assert not document.html
    assert not document.headings
    ((_, cells),) = document.tables
    assert len(cells) == 1
    assert len(cells[0]) == 6


def test_the_shipped_claims_make_a_table_of_any_run():
    table = claims_table(judge(shipped_claims(), []))
    assert table is not None
    statements = {claim.text for claim in shipped_claims()}
    assert len(table.lines) == len(statements)
    assert all(str(line[VERDICT]).startswith("not measured: ") for line in table.lines)
