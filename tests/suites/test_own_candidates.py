from __future__ import annotations

import pytest

from harness.candidates.catalogue import resolve

TRAINED = """
origin = "trained"
family = "causal"
architecture = "gpt2"
shape = { n_layer = 1, n_embd = 32 }
training = { tokens = 1000 }
"""
DISTILLED = TRAINED.replace('"trained"', '"distilled"')
PUBLISHED = 'origin = "published"\nfamily = "causal"\nhub = "openai-community/gpt2"\n'


def suite(*candidates: str, **tables: str) -> str:
    """A suite of these candidates with a [candidate.NAME] for each table."""
    described = "".join(f"[candidate.{name}]\n{table}\n" for name, table in tables.items())
    return f"candidates = {list(candidates)}\nvariants = ['torch/fp32']\n{described}"


def test_an_own_candidate_stands_beside_a_shipped_one(load):
    found = load(whole=suite("gpt2-mini", "own", own=TRAINED))
    assert resolve("own", found.candidate).spec.shape == {"n_layer": 1, "n_embd": 32}
    assert resolve("gpt2-mini", found.candidate).spec.shape["n_layer"] == 2


def test_an_own_candidate_takes_the_place_of_a_shipped_one_of_its_name(load):
    found = load(whole=suite("gpt2-mini", **{"gpt2-mini": TRAINED}))
    assert resolve("gpt2-mini", found.candidate).spec.shape["n_layer"] == 1


@pytest.mark.parametrize("teacher", ["own", "gpt2-mini"])
def test_an_own_candidate_learns_from_an_own_or_a_shipped_teacher(load, teacher):
    tables = {"pupil": f"{DISTILLED}teacher = '{teacher}'"} | ({"own": TRAINED} if teacher == "own" else {})
    found = load(whole=suite("pupil", **tables))
    assert resolve("pupil", found.candidate).teacher.name == teacher


def test_an_own_teacher_of_a_shipped_pupil_need_not_be_named(load):
    found = load(whole=suite("distilgpt2-mini", **{"gpt2-mini": TRAINED}))
    assert resolve("distilgpt2-mini", found.candidate).teacher.spec.shape["n_layer"] == 1


def test_a_published_candidate_may_come_from_the_hub(load):
    found = load(whole=suite("own", own=PUBLISHED))
    assert resolve("own", found.candidate).spec.hub == "openai-community/gpt2"


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (PUBLISHED + "path = '/models/gpt2'", "a published candidate needs exactly one of 'hub', 'path' and 'wheel'"),
        ('origin = "published"\nfamily = "causal"', "a published candidate needs exactly one of"),
        ('origin = "trained"\nfamily = "causal"', "a trained candidate needs 'architecture' and 'training'"),
        (TRAINED.replace("causal", "masked"), "architecture 'gpt2' is of family 'causal'"),
        (TRAINED + "teacher = 'gpt2-mini'", "'teacher' goes with origins 'distilled' and 'pruned', and only with them"),
        (DISTILLED, "'teacher' goes with origins 'distilled' and 'pruned', and only with them"),
    ],
)
def test_a_candidate_whose_keys_do_not_fit_its_origin_is_refused(refusal, table, problem):
    assert refusal(whole=suite("own", own=table)).startswith(f"candidate.own: {problem}")


@pytest.mark.parametrize(
    ("wheel", "key"),
    [
        ("requirement = 'a>=1', file = 'a', sha256 = '" + "0" * 64 + "'", "requirement"),
        ("requirement = 'a==1', file = 'a', sha256 = 'abc'", "sha256"),
        ("requirement = 'a==1', sha256 = '" + "0" * 64 + "'", "file"),
    ],
)
def test_a_wheel_is_named_by_an_exact_version_and_a_whole_hash(refusal, wheel, key):
    table = f"origin = 'published'\nfamily = 'causal'\nwheel = {{ {wheel} }}"
    assert f"candidate.own.wheel.{key}" in refusal(whole=suite("own", own=table))


def test_teachers_that_go_in_a_circle_are_refused_with_the_circle(refusal):
    tables = {"a": f"{DISTILLED}teacher = 'b'", "b": f"{DISTILLED}teacher = 'c'", "c": f"{DISTILLED}teacher = 'a'"}
    problem = refusal(whole=suite("a", **tables))
    assert problem == "candidate 'a' is distilled from itself: a <- b <- c <- a"


def test_a_candidate_that_is_its_own_teacher_is_refused(refusal):
    problem = refusal(whole=suite("a", a=f"{DISTILLED}teacher = 'a'"))
    assert problem == "candidate 'a' is distilled from itself: a <- a"


def test_an_unknown_teacher_suggests_the_nearest(refusal):
    problem = refusal(whole=suite("a", a=f"{DISTILLED}teacher = 'gpt2-mni'"))
    assert problem == "unknown candidate 'gpt2-mni' (did you mean 'gpt2-mini'?)"


def test_a_teacher_of_another_family_is_refused(refusal):
    problem = refusal(whole=suite("a", a=f"{DISTILLED}teacher = 'bert-mini'"))
    assert problem == "candidate 'a' is causal, its teacher 'bert-mini' is masked"


def test_a_teacher_of_another_vocabulary_is_refused(refusal, load):
    problem = refusal(whole=suite("a", a=f"{DISTILLED}teacher = 'gpt2-mini'\nvocabulary = 500"))
    assert problem.startswith("candidate 'a' has a vocabulary of 500, its teacher's is 6144; ")
    load(whole=suite("a", a=f"{DISTILLED}teacher = 'gpt2-mini'\nvocabulary = 6144"))


def test_a_published_teacher_is_refused(refusal):
    problem = refusal(whole=suite("a", a=f"{DISTILLED}teacher = 'b'", b=PUBLISHED))
    assert problem == "candidate 'a': its teacher 'b' is published; it must be trained here"


def test_a_candidate_that_is_described_but_not_named_is_refused(refusal):
    problem = refusal(whole=suite("gpt2-mini", own=TRAINED))
    assert problem == "the suite: [candidate.own] is described, but not named in 'candidates'"


def test_a_candidate_has_a_name_that_can_stand_in_a_variant(refusal):
    problem = refusal(whole=suite("gpt2-mini", **{"'a/b'": TRAINED}))
    assert problem.startswith("candidate: 'a/b' is not a name: letters, digits")
