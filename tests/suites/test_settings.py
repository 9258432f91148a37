from __future__ import annotations

import pytest

from harness.errors import HarnessError
from harness.suites.loader import load_suite


@pytest.mark.parametrize(
    ("setting", "value"),
    [("rounds=3", 3), ("rounds = 3", 3), ("seed=0x10", 16), ("rounds=1_0", 10)],
)
def test_a_number_is_read_as_toml_reads_it(load, setting, value):
    key = setting.partition("=")[0].strip()
    assert getattr(load("", setting), key) == value


@pytest.mark.parametrize("setting", ["title=Two words", 'title="Two words"', "title='Two words'", "title = Two words"])
def test_text_needs_no_quotes(load, setting):
    assert load("", setting).title == "Two words"


def test_text_may_hold_equals_signs(load):
    assert load("", "corpus=text:/data/a=b.txt").corpus == "text:/data/a=b.txt"


def test_a_list_is_read_as_toml_reads_it(load):
    assert load("", 'candidates=["bert-mini", "t5-mini"]').candidates == ("bert-mini", "t5-mini")


def test_a_dotted_key_reaches_into_a_table(load):
    suite = load("[timing]\nreadings = 5\nnew_tokens = 9\n", "timing.reading_seconds=0.5", "timing.new_tokens=16")
    assert (suite.timing.reading_seconds, suite.timing.new_tokens, suite.timing.readings) == (0.5, 16, 5)


def test_a_dotted_key_makes_the_table_that_is_not_there(load):
    assert load("", "evaluation.block_size=64").evaluation.block_size == 64


def test_a_setting_wins_over_the_file_and_the_last_over_the_first(load):
    assert load("rounds = 9", "rounds=3", "rounds=4").rounds == 4


def test_a_setting_reaches_a_shipped_suite():
    assert load_suite("smoke", ["rounds=1"]).suite.rounds == 1


@pytest.mark.parametrize("setting", ["rounds", "=3", ""])
def test_a_setting_without_key_or_value_says_what_was_expected(write, setting):
    with pytest.raises(HarnessError, match="expected KEY=VALUE") as error:
        load_suite(str(write()), [setting])
    assert str(error.value).startswith(f"--set {setting}: ")


@pytest.mark.parametrize(
    ("setting", "parent"),
    [("rounds.inner=3", "rounds"), ("candidates.0=x", "candidates"), ("use_case.title=x", "use_case")],
)
def test_a_key_inside_of_what_is_no_table_is_refused(write, setting, parent):
    case = "[[use_case]]\ntitle = 'x'\nfamilies = ['causal']\nobjective = 'perplexity'\n"
    with pytest.raises(HarnessError) as error:
        load_suite(str(write(f"rounds = 3\n{case}")), [setting])
    assert str(error.value) == f"--set {setting}: '{parent}' is not a table"


def test_a_mistyped_setting_suggests_the_nearest(refusal):
    assert refusal("", "timing.redings=3") == "unknown key 'timing.redings' (did you mean 'readings'?)"


def test_a_setting_of_the_wrong_type_names_its_key(refusal):
    assert refusal("", "rounds=many").startswith("rounds: input should be a valid integer")
