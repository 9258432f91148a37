from __future__ import annotations

import pytest

from harness.errors import HarnessError
from harness.suites.loader import load_suite


def test_an_unknown_key_suggests_the_nearest(refusal):
    assert refusal("ronds = 3") == "unknown key 'ronds' (did you mean 'rounds'?)"


def test_an_unknown_key_with_nothing_near_lists_the_known_ones(refusal):
    text = refusal("colour = 3")
    assert text.startswith("unknown key 'colour' (known: candidate, candidates, corpus, ")


def test_a_mistyped_key_that_is_needed_suggests_the_nearest(refusal):
    text = refusal(whole='candidats = ["gpt2-mini"]\nvariants = ["torch/fp32"]')
    assert text == "unknown key 'candidats' (did you mean 'candidates'?)"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[evaluation]\nblok_size = 64", "unknown key 'evaluation.blok_size' (did you mean 'block_size'?)"),
        ("[items]\nclose = 64", "unknown key 'items.close' (did you mean 'clozes'?)"),
        ("[timing]\nprompt_token = 64", "unknown key 'timing.prompt_token' (did you mean 'prompt_tokens'?)"),
        ("[deadlines]\ntimes = 64", "unknown key 'deadlines.times' (did you mean 'time'?)"),
        ("[generation]\npromt = 'x'", "unknown key 'generation.promt' (did you mean 'prompt'?)"),
        (
            "[[use_case]]\ntitle = 'x'\nfamilies = ['causal']\nobjective = 'perplexity'\nlimit = []",
            "unknown key 'use_case.0.limit' (did you mean 'limits'?)",
        ),
    ],
)
def test_an_unknown_key_of_a_table_suggests_the_nearest_of_that_table(refusal, text, problem):
    assert refusal(text) == problem


@pytest.mark.parametrize(
    ("inner", "problem"),
    [
        ("vocabularly = 400", "unknown key 'candidate.own.vocabularly' (did you mean 'vocabulary'?)"),
        ("[candidate.own.distillation]\ncosin = 1", "unknown key 'candidate.own.distillation.cosin'"),
        ("[candidate.own.training]\ntokens = 9\nlerning_rate = 1", "(did you mean 'learning_rate'?)"),
    ],
)
def test_an_unknown_key_of_an_own_candidate_suggests_the_nearest(refusal, inner, problem):
    text = f"[candidate.own]\norigin = 'published'\nfamily = 'causal'\nhub = 'a/b'\n{inner}"
    assert problem in refusal(text)


@pytest.mark.parametrize(
    ("text", "key", "got"),
    [
        ("rounds = 'six'", "rounds", "'six'"),
        ("rounds = 0", "rounds", "0"),
        ("rounds = 2.5", "rounds", "2.5"),
        ("corpus = 3", "corpus", "3"),
        ("evaluation = 3", "evaluation", "3"),
        ("[evaluation]\nsplit = 'train'", "evaluation.split", "'train'"),
        ("[evaluation]\nmask_share = 1.5", "evaluation.mask_share", "1.5"),
        ("[evaluation]\nprotocol = 'strided'", "evaluation.protocol", "'strided'"),
        ("[evaluation]\nblock_size = -1", "evaluation.block_size", "-1"),
        ("[evaluation]\nstride = -1", "evaluation.stride", "-1"),
        ("[evaluation]\nbatch_size = 0", "evaluation.batch_size", "0"),
        ("[items]\nclozes = -1", "items.clozes", "-1"),
        ("[items]\ncontext_words = 0", "items.context_words", "0"),
        ("[items]\ncontinuation_words = 0", "items.continuation_words", "0"),
        ("[items]\nright_words = 0", "items.right_words", "0"),
        ("[items]\nblimp = true", "items.blimp", "True"),
        ("[timing]\nreading_seconds = nan", "timing.reading_seconds", "nan"),
        ("device = 'tpu'", "device", "'tpu'"),
    ],
)
def test_a_wrong_value_names_its_key_and_what_was_got(refusal, text, key, got):
    message = refusal(text)
    assert message.startswith(f"{key}: input should be ")
    assert message.endswith(f", got {got}")


@pytest.mark.parametrize("size", [1, 7])
def test_a_window_of_a_few_tokens_is_refused(refusal, size):
    assert refusal(f"[evaluation]\nblock_size = {size}") == (
        "evaluation.block_size: expected 8 tokens or more, or 0 for the model's longest input"
    )


def test_a_stride_that_would_leave_tokens_between_windows_is_refused(refusal):
    text = "[evaluation]\nprotocol = 'sliding'\nblock_size = 64\nstride = 65"
    assert refusal(text) == "evaluation: stride 65 is longer than block_size 64"


@pytest.mark.parametrize("key", ["candidates", "variants"])
def test_a_key_that_is_needed_is_named_where_it_is_missing(refusal, key):
    both = {"candidates": 'candidates = ["gpt2-mini"]', "variants": 'variants = ["torch/fp32"]'}
    del both[key]
    assert refusal(whole="\n".join(both.values())) == f"'{key}' is missing"


@pytest.mark.parametrize("key", ["candidates", "variants"])
def test_an_empty_list_of_candidates_or_variants_is_refused(refusal, key):
    both = {"candidates": ["gpt2-mini"], "variants": ["torch/fp32"]} | {key: []}
    assert refusal(whole="\n".join(f"{k} = {v}" for k, v in both.items())).startswith(f"{key}: ")


@pytest.mark.parametrize(
    ("candidates", "variants", "problem"),
    [
        ("['gpt2-mini', 'gpt2-mini']", "['torch/fp32']", "candidates: 'gpt2-mini' is named twice"),
        ("['gpt2-mini']", "['torch/fp32', 'torch/fp32']", "variants: 'torch/fp32' is named twice"),
    ],
)
def test_a_name_that_stands_twice_is_refused(refusal, candidates, variants, problem):
    assert refusal(whole=f"candidates = {candidates}\nvariants = {variants}") == problem


def test_an_unknown_candidate_suggests_the_nearest(refusal):
    text = refusal(whole="candidates = ['gpt2-mni']\nvariants = ['torch/fp32']")
    assert text == "unknown candidate 'gpt2-mni' (did you mean 'gpt2-mini'?)"


def test_an_unknown_engine_suggests_the_nearest(refusal):
    text = refusal(whole="candidates = ['gpt2-mini']\nvariants = ['onnxruntim/fp32']")
    assert text == "unknown engine 'onnxruntim' (did you mean 'onnxruntime'?)"


@pytest.mark.parametrize("variant", ["torch/int3", "torch", "torch/"])
def test_an_unknown_precision_lists_those_of_the_engine(refusal, variant):
    text = refusal(whole=f"candidates = ['gpt2-mini']\nvariants = ['{variant}']")
    assert text.startswith(f"variant '{variant}': engine 'torch' has fp32, ")


def test_an_unknown_device_lists_those_that_there_are(refusal):
    text = refusal(whole="candidates = ['gpt2-mini']\nvariants = ['torch/fp32/tpu']")
    assert text == "variant 'torch/fp32/tpu': expected device cpu or cuda, not 'tpu'"


def test_an_unknown_corpus_suggests_the_nearest(refusal):
    assert refusal("corpus = 'wikitext2'") == "unknown corpus 'wikitext2' (did you mean 'wikitext-2'?)"


@pytest.mark.parametrize("metric", ["speed", "quantised_share", "text"])
@pytest.mark.parametrize("key", ["objective", "tie_breakers"])
def test_a_metric_that_cannot_be_ranked_is_no_objective(refusal, metric, key):
    keys = {"objective": "'perplexity'", "tie_breakers": "[]"}
    keys[key] = f"'{metric}'" if key == "objective" else f"['{metric}']"
    lines = "\n".join(f"{k} = {v}" for k, v in keys.items())
    text = refusal(f"[[use_case]]\ntitle = 'x'\nfamilies = ['causal']\n{lines}")
    assert text == f"use_case.0.{key}: '{metric}' is not a metric that can be ranked; see: harness list metrics"


def test_a_limit_that_cannot_be_read_says_what_was_expected(refusal):
    case = "title = 'x'\nfamilies = ['causal']\nobjective = 'perplexity'\nlimits = ['memory < 5']"
    text = refusal(f"[[use_case]]\n{case}")
    assert text.startswith("use_case.0.limits: expected 'METRIC <= NUMBER' or 'METRIC >= NUMBER'")
    assert text.endswith("not 'memory < 5'")


def test_a_masked_prompt_needs_a_mask(refusal):
    assert refusal("[generation]\nmasked_prompt = 'no gap'") == (
        "generation.masked_prompt: expected at least one <mask>"
    )


@pytest.mark.parametrize("content", [b"candidates = [", b"a = 1\na = 2\n", b"title = '\xff'"])
def test_bad_toml_names_the_file(tmp_path, content):
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(HarnessError) as error:
        load_suite(str(path))
    assert str(error.value).startswith(f"{path}: not valid TOML: ")


def test_a_missing_file_names_it(tmp_path):
    path = tmp_path / "nowhere.toml"
    with pytest.raises(HarnessError) as error:
        load_suite(str(path))
    assert str(error.value) == f"cannot read suite {path}: No such file or directory"


def test_a_folder_is_no_suite(tmp_path):
    with pytest.raises(HarnessError, match=r"cannot read suite .*: Is a directory"):
        load_suite(str(tmp_path))


def test_an_unknown_name_suggests_the_nearest_shipped_suite():
    with pytest.raises(HarnessError, match=r"no suite 'smok' \(did you mean 'smoke'\?\); or give a path"):
        load_suite("smok")


def test_a_problem_of_a_shipped_suite_names_the_suite():
    with pytest.raises(HarnessError, match=r"^suite 'smoke': unknown key 'ronds'"):
        load_suite("smoke", ["ronds=3"])
