from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.candidates.catalogue import shipped_candidates
from harness.errors import HarnessError
from harness.records.metrics import METRICS
from harness.selection.claims import Claim, Range, contradict
from harness.selection.claims_file import ClaimKeys, RangeKeys, check_claims, read_claims, shipped_claims

GOOD = 'text = "smaller"\nsource = "a note"\nnew = "student"\n'
OF_ONE = f'[[claim]]\n{GOOD}metric = "parameters"\n'
OF_TWO = f'{OF_ONE}base = "teacher"\n'
DOCS = Path(__file__).parents[2] / "docs" / "claims.md"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture
def read(tmp_path):
    """Read claims from text or bytes in a file ``mine.toml``."""

    def claims(content):
        file = tmp_path / "mine.toml"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_claims(file)

    return claims


@pytest.fixture
def refusal(read):
    """What is said of a file that is refused, without its folder: always one line."""

    def message(content):
        with pytest.raises(HarnessError) as caught:
            read(content)
        assert "\n" not in str(caught.value)
        return re.sub(r"^.*mine\.toml: ", "", str(caught.value))

    return message


def test_a_claim_about_one_candidate_has_a_range_of_values(read):
    claims = read(f"{OF_ONE}value = {{ at_least = 81.5e6, at_most = 82500000 }}")
    assert claims == [
        Claim("smaller", "a note", ("student",), (), ("parameters",), Range(81.5e6, 82.5e6)),
    ]


def test_a_claim_about_two_candidates_has_a_range_of_their_ratio(read):
    (claim,) = read(f"{OF_TWO}ratio = {{ at_most = 0.5 }}\nvariants = ['torch/fp32', '*/int8/cpu']")
    assert (claim.base, claim.range) == (("teacher",), Range(None, 0.5))
    assert claim.variants == ("torch/fp32", "*/int8/cpu")


def test_names_and_metrics_may_be_lists(read):
    (claim,) = read(
        "[[claim]]\ntext = 'a'\nsource = 'b'\nnew = ['s', 't']\nbase = ['u', 'v']\n"
        "metric = ['cloze_accuracy', 'blimp_accuracy', 'cloze_accuracy']\nratio = { at_least = 0.9 }"
    )
    assert claim.sides == (("s", "u"), ("t", "v"))
    assert claim.metrics == ("cloze_accuracy", "blimp_accuracy")


def test_a_claim_that_nothing_measures_needs_no_metric(read):
    (claim,) = read("[[claim]]\ntext = 'a'\nsource = 'b'\nunmeasured = 'no metric counts layers'")
    assert (claim.metrics, claim.unmeasured) == ((), "no metric counts layers")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[[claim]\n", "not valid TOML: "),
        ("x = 1", "unknown key 'x' (known: claim)"),
        ("claims = []", "unknown key 'claims' (did you mean 'claim'?)"),
        ("", "expected tables [[claim]], one for each claim"),
        ("[claim]\ntext = 'a'", "expected tables [[claim]], one for each claim"),
        ("claim = [1]", "expected tables [[claim]], one for each claim"),
        ("[[claim]]\ntext = 'a'", "claim 1: 'source' is missing"),
        (f"[[claim]]\n{GOOD}", "claim 1: 'metric' is missing"),
        ("[[claim]]\ntext = 'a'\nsource = 'b'\nmetric = 'parameters'", "claim 1: 'new' is missing"),
        (OF_ONE, "claim 1: 'value' is missing"),
        (OF_TWO, "claim 1: 'ratio' is missing"),
        (f"{OF_ONE}ratio = {{ at_most = 1 }}", "claim 1: 'ratio' is new / base, and 'base' is missing"),
        (
            f"{OF_TWO}value = {{ at_most = 1 }}",
            "claim 1: 'value' is of one candidate; with 'base' give 'ratio', new / base",
        ),
        (
            f"{OF_TWO}value = {{ at_most = 1 }}\nratio = {{ at_most = 1 }}",
            "claim 1: expected 'value' or 'ratio', not both",
        ),
        (f"{OF_ONE}value = {{}}", "claim 1: value: expected at_least, at_most or both"),
        (
            f"{OF_ONE}value = {{ at_least = 2, at_most = 1 }}",
            "claim 1: value: nothing is at least 2 and at most 1",
        ),
        (f"{OF_ONE}value = {{ at_lest = 2 }}", "claim 1: unknown key 'value.at_lest' (did you mean 'at_least'?)"),
        (f"{OF_ONE}value = {{ at_least = nan }}", "claim 1: value.at_least: "),
        (f"{OF_ONE}value = {{ at_least = inf }}", "claim 1: value.at_least: "),
        (f"{OF_ONE}value = {{ at_least = '2' }}", "claim 1: value.at_least: "),
        (f"{OF_ONE}value = {{ at_least = true }}", "claim 1: value.at_least: "),
        (f"{OF_ONE}value = 3", "claim 1: value: "),
        (f"{OF_TWO}ratio = {{ at_least = -0.5 }}", "claim 1: 'ratio' is new / base, which is never -0.5"),
        (f"{OF_ONE}values = {{ at_least = 2 }}", "claim 1: unknown key 'values' (did you mean 'value'?)"),
        (f"[[claim]]\n{GOOD}metric = 'paramters'", "claim 1: metric: 'paramters' is not a metric (did you mean"),
        (f"[[claim]]\n{GOOD}metric = 'zzz'", "claim 1: metric: 'zzz' is not a metric; see: harness list metrics"),
        (
            f"[[claim]]\n{GOOD}metric = 'text'",
            "claim 1: metric: 'text' is not a number of a variant; see: harness list metrics",
        ),
        (f"[[claim]]\n{GOOD}metric = []", "claim 1: metric: "),
        ("[[claim]]\ntext = ''\nsource = 'b'", "claim 1: text: "),
        ("[[claim]]\ntext = 3\nsource = 'b'", "claim 1: text: "),
        (
            f"{OF_TWO}ratio = {{ at_most = 1 }}\nvariants = 'torch'",
            "claim 1: variants: expected ENGINE/PRECISION or ENGINE/PRECISION/DEVICE, not 'torch'",
        ),
        (
            f"[[claim]]\n{GOOD}base = ['a', 'b']\nmetric = 'parameters'\nratio = {{ at_most = 1 }}",
            "claim 1: 'base' has 2 names and 'new' 1: expected a base for each",
        ),
        (
            f"[[claim]]\n{GOOD}unmeasured = 'no'",
            "claim 1: 'unmeasured' says that nothing tells, and 'new' how to tell",
        ),
        ("[[claim]]\n\"te\\nxt\" = 1", "claim 1: unknown key 'te xt'"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_that_says_where_it_is_and_what_was_expected(refusal, text, problem):
    assert refusal(text).startswith(problem)


def test_the_claim_is_named_by_its_number(refusal):
    good = f"{OF_ONE}value = {{ at_most = 1 }}\n"
    assert refusal(f"{good}{good}{OF_ONE}").startswith("claim 3: ")


def test_bytes_that_are_no_text_are_told_by_their_place(refusal):
    assert refusal(b"[[claim]]\ntext = '\xff'") == "not UTF-8: invalid start byte at byte 18"


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(HarnessError, match=r"cannot read claims .*none\.toml: No such file"):
        read_claims(tmp_path / "none.toml")


def test_a_folder_is_no_file_of_claims(tmp_path):
    with pytest.raises(HarnessError, match=r"cannot read claims .*: Is a directory"):
        read_claims(tmp_path)


def outcome(read_it, given_to_it):
    """The claims that come out, or what is said where they are refused."""
    try:
        return read_it(given_to_it), None
    except HarnessError as error:
        return None, str(error)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: f"[[claim]]\n{text}".encode()))
def test_whatever_a_file_holds_it_is_read_or_refused_in_one_line(read, content):
    claims, said = outcome(read, content)
    assert claims if said is None else "\n" not in said


@settings(deadline=None)
@given(table=st.dictionaries(st.sampled_from([*ClaimKeys.model_fields, "other"]), JSON))
def test_whatever_a_claim_holds_it_is_taken_or_refused_in_one_line(table):
    claims, said = outcome(lambda each: check_claims({"claim": [each]}, "mine"), table)
    if said is None:
        assert claims[0].text == table["text"]
    else:
        assert said.startswith("mine: claim 1: ")
        assert "\n" not in said


@pytest.mark.parametrize("number", [10**400, -(10**400)])
def test_a_number_too_large_for_any_range_is_refused(number):
    table = {"text": "a", "source": "b", "new": "c", "metric": "parameters", "value": {"at_least": number}}
    with pytest.raises(HarnessError, match=r"claim 1: value\.at_least"):
        check_claims(json.loads(json.dumps({"claim": [table]})), "mine")


def test_shipped_claims_are_about_candidates_of_the_catalogue():
    named = {name for claim in shipped_claims() for names in claim.sides for name in names}
    assert named
    assert named <= set(shipped_candidates())


def test_shipped_claims_compare_candidates_of_one_kind_of_origin():
    catalogue = shipped_candidates()
    made_here = {"trained", "distilled"}
    for claim in shipped_claims():
        for names in claim.sides:
            origins = {catalogue[name].origin for name in names}
            assert len(origins) == 1 or origins <= made_here, claim


def test_shipped_claims_about_sizes_are_not_judged_on_small_models():
    of_sizes = [claim for claim in shipped_claims() if any(METRICS[name].measure == "size" for name in claim.metrics)]
    assert of_sizes
    assert not [name for claim in of_sizes for names in claim.sides for name in names if "mini" in name]


def test_shipped_claims_about_quality_are_not_judged_on_random_weights():
    told = [claim for claim in shipped_claims() if any(METRICS[name].measure == "quality" for name in claim.metrics)]
    assert told
    assert not [name for claim in told for names in claim.sides for name in names if "random" in name]


def test_the_note_contradicts_itself_about_gpt2_and_about_distilgpt2():
    claims = shipped_claims()
    pairs = Counter(
        (one.text, other.text)
        for index, one in enumerate(claims)
        for other in claims[index + 1 :]
        if contradict(one, other)
    )
    assert set(pairs) == {
        ("GPT-2 has 124 M parameters", "GPT-2 is heavy: 1.5 B parameters"),
        ("DistilGPT-2 against GPT-2: 82 M against 124 M", "DistilGPT-2 is 60 % lighter than GPT-2"),
        ("DistilGPT-2 against GPT-2: 82 M against 124 M", "Distillation cuts size by 40–60 %"),
    }


def test_every_key_is_documented():
    text = DOCS.read_text(encoding="utf-8")
    missing = [key for key in (*ClaimKeys.model_fields, *RangeKeys.model_fields) if f"`{key}`" not in text]
    assert not missing


def test_the_example_of_the_documentation_is_a_file_of_claims(read):
    example = re.search(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert example
    assert len(read(example[1])) == 2
