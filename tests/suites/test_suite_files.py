from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from harness.candidates.catalogue import resolve, shipped_candidates
from harness.items.questionnaire import Quotas
from harness.quality.family import Scoring
from harness.quality.protocols import PROTOCOLS
from harness.suites.loader import check_suite, load_suite, shipped_suites
from harness.suites.schema import Evaluation, Items, Suite, TimingKeys

DOCS = Path(__file__).resolve().parents[2] / "docs" / "suites.md"


def keys(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """(model, key) of a model and of every model inside it."""
    for name, field in model.model_fields.items():
        yield model.__name__, name
        for inner in models_in(field.annotation):
            yield from keys(inner)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


KEYS = sorted(set(keys(Suite)))


def test_the_keys_reach_into_candidates_and_their_tables():
    assert {model for model, _ in KEYS} >= {
        "Suite", "Evaluation", "Items", "TimingKeys", "Deadlines", "Generation", "UseCase",
        "CandidateSpec", "TrainingSpec", "DistillationSpec", "WheelSpec",
    }  # fmt: skip


@pytest.mark.parametrize(("model", "key"), KEYS, ids=[f"{model}.{key}" for model, key in KEYS])
def test_every_key_of_a_suite_is_documented(model, key):
    assert f"`{key}`" in DOCS.read_text(encoding="utf-8"), f"{model}.{key} is not in {DOCS.name}"


NUMBERS = [
    (table, key, field.default)
    for table, model in (("evaluation", Evaluation), ("items", Items), ("timing", TimingKeys))
    for key, field in model.model_fields.items()
    if not isinstance(field.default, (str, tuple))
]


@pytest.mark.parametrize(("table", "key", "default"), NUMBERS, ids=[f"{table}.{key}" for table, key, _ in NUMBERS])
def test_a_number_is_documented_with_its_default(table, key, default):
    section = DOCS.read_text(encoding="utf-8").partition(f"## `[{table}]`")[2].partition("\n## ")[0]
    line = next(line for line in section.splitlines() if line.startswith(f"| `{key}` |"))
    assert line.endswith(f"| {default:g} |")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_is_documented_and_may_be_asked_for(load, protocol):
    assert f"| `{protocol}` |" in DOCS.read_text(encoding="utf-8")
    assert load(f"[evaluation]\nprotocol = '{protocol}'").evaluation.protocol == protocol


def test_the_main_suites_are_shipped():
    main = {"cpu", "pretrained", "shapes", "gpu", "smoke", "students", "recipes", "wikitext2", "wikitext2-compact"}
    assert main == set(shipped_suites())


@pytest.mark.parametrize("name", shipped_suites())
def test_a_shipped_suite_is_documented(name):
    assert f"| `{name}` |" in DOCS.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", shipped_suites())
def test_a_shipped_suite_loads_by_name_and_by_path(name):
    named = load_suite(name)
    assert named.name == name
    assert load_suite(str(shipped_suites()[name])).suite == named.suite


@pytest.mark.parametrize("name", shipped_suites())
def test_a_shipped_suite_has_a_title_and_no_use_case_without_a_candidate_for_it(name):
    suite = load_suite(name).suite
    assert suite.title
    families = {resolve(candidate, suite.candidate).family for candidate in suite.candidates}
    assert all(set(case.families) <= families for case in suite.use_case)


@pytest.mark.parametrize("name", shipped_candidates())
def test_a_shipped_candidate_can_be_named_in_a_suite(name):
    assert resolve(name, {}).name == name


def test_a_suite_that_was_stored_is_the_suite_that_was_loaded():
    suite = load_suite("smoke").suite
    assert Suite.model_validate(suite.model_dump(mode="json")) == suite


@pytest.mark.parametrize(
    ("file", "name"), [("mine.toml", "mine"), ("my suite!.toml", "my-suite-"), ("...x.toml", "x"), ("é.toml", "suite")]
)
def test_a_suite_is_named_after_its_file_in_letters_that_any_folder_can_have(write, file, name):
    path = write().rename(write().parent / file)
    named = load_suite(str(path))
    assert named.name == name


def test_a_suite_needs_no_more_than_candidates_and_variants(load):
    suite = load()
    assert (suite.corpus, suite.rounds, suite.evaluation.split, suite.use_case) == ("sotu", 6, "test", ())


def test_without_a_word_on_quality_a_suite_asks_for_the_defaults_of_its_parts(load):
    suite = load()
    assert Scoring(**suite.evaluation.model_dump(exclude={"split", "excerpt_bytes"})) == Scoring()
    assert Quotas(**suite.items.model_dump(exclude={"blimp", "blimp_pairs"})) == Quotas()
    assert suite.items.blimp == ""


@pytest.mark.parametrize("size", [0, 8, 1024])
def test_a_window_has_eight_tokens_or_more_or_is_the_models_longest(load, size):
    assert load(f"[evaluation]\nblock_size = {size}").evaluation.block_size == size


@pytest.mark.parametrize(("size", "stride"), [(128, 0), (128, 1), (128, 128), (0, 4096)])
def test_a_stride_goes_up_to_the_window_and_is_free_where_that_is_the_models_longest(load, size, stride):
    evaluation = load(f"[evaluation]\nblock_size = {size}\nstride = {stride}").evaluation
    assert (evaluation.block_size, evaluation.stride) == (size, stride)


@pytest.mark.parametrize("kind", ["continuations", "clozes", "choices"])
def test_a_kind_of_items_may_be_left_out(load, kind):
    assert getattr(load(f"[items]\n{kind} = 0").items, kind) == 0


def test_a_suite_cannot_be_changed_once_it_is_loaded(load):
    suite = load()
    with pytest.raises(ValidationError, match="frozen"):
        suite.rounds = 7


def test_a_table_is_checked_like_a_file():
    table = {"candidates": ["gpt2-mini"], "variants": ["torch/fp32"], "corpus": "text:/data/letters.txt"}
    assert check_suite(table, "a test").corpus == "text:/data/letters.txt"
