from __future__ import annotations

import pytest
from builders import make_row, make_subject, scored
from stored_runs import INFO, NATS, info_with

from harness.records.rows import Row
from harness.selection.comparability import (
    item_differences,
    machine_differences,
    text_differences,
    told_differences,
    why_not,
)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"threads": 4}, "threads: 2 against 4"),
        ({"cores": 8}, "cores: 2 against 8"),
        ({"cpu": "Other CPU"}, "CPU: Example CPU against Other CPU"),
        ({"isa": ["avx2", "fma"]}, "ISA: avx2 against avx2, fma"),
        ({"memory_bytes": 2**34}, "memory: 8.000 GiB against 16.0 GiB"),
        ({"memory_bytes": 2**33 + 1}, "memory: 8589934592 against 8589934593"),
        ({"gpus": ["H100"]}, "GPUs: none against H100"),
        ({"system": "Linux 6.2 x86_64"}, "system: Linux 6.1 x86_64 against Linux 6.2 x86_64"),
        ({"python": "3.13.0"}, "Python: 3.12.1 against 3.13.0"),
        ({"versions": {"torch": "2.12.0"}}, "torch 2.13.0 against 2.12.0"),
        ({"versions": {}}, "torch 2.13.0 against none"),
    ],
)
def test_what_the_machine_differs_in(changed, words):
    assert machine_differences(INFO, info_with(environment=changed)) == [words]


def test_a_run_that_does_not_say_its_machine_differs_from_one_that_does():
    found = machine_differences(INFO, {})
    assert "CPU: Example CPU against not said" in found
    assert machine_differences({}, {}) == []


@pytest.mark.parametrize(
    "told", [{"commit": "def456"}, {"dirty": True}, {"governor": "performance"}, {"hash": "env-2"}]
)
def test_revision_and_governor_do_not_make_another_machine(told):
    assert machine_differences(INFO, info_with(environment=told)) == []


def test_the_protocol_of_timing_counts_as_the_machine():
    changed = info_with(suite={"timing": {"prompt_tokens": 64, "new_tokens": 64}})
    assert machine_differences(INFO, changed) == ["timing.prompt_tokens: 128 against 64"]


def test_another_number_of_rounds_is_no_difference():
    assert machine_differences(INFO, info_with(suite={"rounds": 20})) == []


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"corpus": {"hash": "def"}}, "corpus letters: other text"),
        ({"corpus": {"name": "sotu", "hash": "def"}}, "corpus: letters against sotu"),
        ({"suite": {"evaluation": {"split": "dev", "excerpt_bytes": 0}}}, "evaluation.split: test against dev"),
    ],
)
def test_what_the_text_differs_in(tables, words):
    assert text_differences(INFO, info_with(**tables)) == [words]


def test_how_items_are_dealt():
    changed = info_with(suite={"items": {"seed": 1, "context_words": 24, "clozes": 7}})
    assert item_differences(INFO, changed) == ["items.seed: 0 against 1"]


def test_other_weights_are_told():
    base, new, unknown = (Row(make_subject(weights=each), "ok", "", {}) for each in ("weights-1", "weights-2", ""))
    assert told_differences(INFO, INFO, [(base, new)]) == ["weights of mini/torch/fp32/cpu"]
    assert told_differences(INFO, INFO, [(base, unknown)]) == []


def test_the_revision_is_told():
    pair = make_row(), make_row()
    assert told_differences(INFO, info_with(environment={"commit": "def"}), [pair]) == ["commit: abc123 against def"]
    assert told_differences(INFO, info_with(environment={"dirty": True}), []) == ["uncommitted changes: no against yes"]


@pytest.mark.parametrize("metric", ["perplexity", "pseudo_perplexity"])
def test_what_is_counted_a_token_does_not_compare_between_tokenizers(metric):
    base = make_row(metrics={metric: scored(metric, NATS)})
    new = make_row(metrics={metric: scored(metric, NATS)}, tokenizer="tokenizer-2")
    assert why_not(base, new, metric, [], []) == "the tokenizers differ, and this is counted a token"


def test_what_is_counted_a_byte_does():
    base = make_row(metrics={"bits_per_byte": scored("bits_per_byte", NATS)})
    new = make_row(metrics={"bits_per_byte": scored("bits_per_byte", NATS, tokens=50)}, tokenizer="tokenizer-2")
    assert why_not(base, new, "bits_per_byte", [], []) == ""


def test_another_protocol_does_not_compare():
    base = make_row(metrics={"perplexity": scored("perplexity", NATS)})
    new = make_row(metrics={"perplexity": scored("perplexity", NATS, block_size=64)})
    assert why_not(base, new, "perplexity", [], []) == "the protocols differ: block_size: 128 against 64"


def test_items_that_are_dealt_otherwise_leave_the_text_comparable():
    base = make_row(metrics={name: scored(name, NATS) for name in ("perplexity", "pseudo_perplexity")})
    assert why_not(base, base, "perplexity", [], ["items.seed: 0 against 1"]) == ""
    reason = why_not(base, base, "pseudo_perplexity", [], ["items.seed: 0 against 1"])
    assert reason == "scored on something else: items.seed: 0 against 1"


def test_a_reason_names_three_differences_at_most():
    base = make_row(metrics={"perplexity": scored("perplexity", NATS)})
    assert why_not(base, base, "perplexity", list("abcde"), []) == "scored on something else: a; b; c and 2 more"
