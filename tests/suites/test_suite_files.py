from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from harness.candidates.catalogue import resolve, shipped_candidates
from harness.suites.loader import check_suite, load_suite, shipped_suites
from harness.suites.schema import Suite

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
        "Suite", "Evaluation", "TimingKeys", "Deadlines", "Generation", "UseCase",
        "CandidateSpec", "TrainingSpec", "DistillationSpec", "WheelSpec",
    }  # fmt: skip


@pytest.mark.parametrize(("model", "key"), KEYS, ids=[f"{model}.{key}" for model, key in KEYS])
def test_every_key_of_a_suite_is_documented(model, key):
    assert f"`{key}`" in DOCS.read_text(encoding="utf-8"), f"{model}.{key} is not in {DOCS.name}"


def test_the_main_suites_are_shipped():
    assert {"cpu", "smoke"} <= set(shipped_suites())


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


def test_a_suite_cannot_be_changed_once_it_is_loaded(load):
    suite = load()
    with pytest.raises(ValidationError, match="frozen"):
        suite.rounds = 7


def test_a_table_is_checked_like_a_file():
    table = {"candidates": ["gpt2-mini"], "variants": ["torch/fp32"], "corpus": "text:/data/letters.txt"}
    assert check_suite(table, "a test").corpus == "text:/data/letters.txt"
