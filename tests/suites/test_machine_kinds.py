"""Variants that ask for a kind of machine, and the nodes that are of that kind."""

from __future__ import annotations

import pytest

from harness.suites.loader import split_variant

KINDS = (
    'candidates = ["gpt2-mini"]\nvariants = ["torch/fp32@small", "torch/fp32@large", "onnxruntime/int8/cpu@large"]\n'
)
LETTERS = "expected a kind of machine after '@': up to 32 small letters, digits, '_' and '-', a letter or digit first"


def of(*variants: str) -> str:
    return f'candidates = ["gpt2-mini"]\nvariants = {list(variants)}\n'


@pytest.mark.parametrize(
    ("variant", "parts"),
    [
        ("torch/fp32", ("torch", "fp32", "cuda", "")),
        ("torch/fp32/cpu", ("torch", "fp32", "cpu", "")),
        ("torch/fp32@small", ("torch", "fp32", "cuda", "small")),
        ("onnxruntime/int8/cpu@large-2", ("onnxruntime", "int8", "cpu", "large-2")),
    ],
)
def test_a_variant_is_split_into_engine_precision_device_and_kind(variant, parts):
    assert split_variant(variant, "cuda") == parts


def test_a_kind_has_the_labels_that_its_table_gives(load):
    suite = load(whole=f'{KINDS}[machines.small]\nlabels = {{ machine = "small", zone = "b" }}')
    assert suite.kinds["small"] == {"machine": "small", "zone": "b"}


@pytest.mark.parametrize("table", ["", "[machines.large]\n"])
def test_a_kind_without_labels_has_one_that_is_its_name(load, table):
    assert load(whole=KINDS + table).kinds == {
        "small": {"harness-machine": "small"},
        "large": {"harness-machine": "large"},
    }


def test_a_suite_whose_variants_ask_for_none_has_no_kinds(load):
    assert load().kinds == {}


@pytest.mark.parametrize("kind", ["0", "a_b-c", "x" * 32])
def test_a_kind_has_small_letters_digits_and_two_signs(load, kind):
    assert list(load(whole=of(f"torch/fp32@{kind}")).kinds) == [kind]


@pytest.mark.parametrize("kind", ["", "Small", "-a", "_a", "a.b", "a@b", "small/cpu", "x" * 33, "größe", "a\\n"])
def test_another_name_of_a_kind_is_refused_with_the_key(refusal, kind):
    text = refusal(whole=f'candidates = ["gpt2-mini"]\nvariants = ["torch/fp32", "torch/fp32@{kind}"]\n')
    assert text.startswith("variants: 'torch/fp32@")
    assert text.endswith(LETTERS)


def test_a_table_of_a_kind_that_no_variant_asks_for_names_the_nearest(refusal):
    text = refusal(whole=f"{KINDS}[machines.smal]\n")
    assert text == "the suite: [machines.smal] is described, but no variant asks for it (did you mean 'small'?)"


def test_a_table_of_a_kind_is_refused_where_no_variant_asks_for_any(refusal):
    assert refusal("[machines.small]\n") == "the suite: [machines.small] is described, but no variant asks for it"


def test_an_unknown_key_of_a_kind_suggests_the_known_one(refusal):
    problem = "unknown key 'machines.small.label' (did you mean 'labels'?)"
    assert refusal(whole=f'{KINDS}[machines.small]\nlabel = "small"') == problem


def test_labels_are_texts(refusal):
    assert refusal(whole=f"{KINDS}[machines.small]\nlabels = {{ cores = 2 }}").startswith(
        "machines.small.labels.cores: "
    )


def test_the_same_variant_twice_on_a_kind_is_refused(refusal):
    assert refusal(whole=of("torch/fp32@a", "torch/fp32@a")) == "variants: 'torch/fp32@a' is named twice"
