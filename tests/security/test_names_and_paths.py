"""Names from suites, hubs and the command line never become paths, options or addresses unchecked."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.ab.checkouts import base_checkout, set_up, setup_commands, working_tree
from harness.candidates.artefacts import ArtefactStore
from harness.candidates.spec import CandidateSpec, WheelSpec
from harness.errors import HarnessError
from harness.records.baselines import baseline_path
from harness.records.run_folder import create_run
from harness.reporting.docs.sources import Sources
from harness.suites.loader import check_suite, load_suite

HOSTILE = [
    "..",
    "../a",
    "a/../../b",
    "/etc/passwd",
    "a\0b",
    "a\nb",
    "C:\\a",
    "\\\\host\\share",
    "-rf",
    "--help",
    "",
    " ",
    ".",
]


def suite_with(name: str, **keys) -> dict:
    table = {"origin": "published", "family": "causal", "path": "x", **keys}
    return {"candidates": [name], "variants": ["torch/fp32"], "candidate": {name: table}}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_candidate_is_a_plain_name(name):
    with pytest.raises(HarnessError, match="is not a name"):
        check_suite(suite_with(name), "suite")


@pytest.mark.parametrize(
    "reference",
    [*HOSTILE, "~/a", "a//b", "a/b/c", "a@", "a@../../x", "a@-x", "a@/x", "a@x/../y", "a@x//y", "a@\nb", "..@x", "./a",
     "a b", "https://hub/a", "a?b", "a#b", "ä"],
)  # fmt: skip
def test_a_repository_of_the_hub_has_the_form_of_one(reference):
    with pytest.raises(HarnessError, match="no repository of the hub"):
        check_suite(suite_with("mine", path=None, hub=reference), "suite")


@pytest.mark.parametrize(
    "reference", ["gpt2", "openai-community/gpt2", "a/b.c_d-e@v1.0", "a/b@refs/pr/1", "a@" + "0" * 40]
)
def test_repositories_of_the_hub_are_taken(reference):
    assert CandidateSpec(origin="published", family="causal", hub=reference).hub == reference


@given(st.text())
def test_what_is_taken_as_a_repository_stays_below_the_cache(reference):
    try:
        spec = CandidateSpec(origin="published", family="causal", hub=reference)
    except ValueError:
        return
    repository, _, revision = str(spec.hub).partition("@")
    for part in (repository, f"refs/{revision}"):
        assert Path("/cache", part).resolve().is_relative_to("/cache/" + part.split("/")[0])


@pytest.mark.parametrize("path", ["", "a\0b", "a\nb", "a\x1b[2Jb"])
def test_a_local_folder_is_named_on_one_line(path):
    with pytest.raises(HarnessError, match="is no folder"):
        check_suite(suite_with("mine", path=path), "suite")


@pytest.mark.parametrize(
    "requirement",
    ["--index-url==evil.example", "-r==file", "-e==.", "a==1 --index-url=x", "a==1\n-r file", "a", "a>=1", "a @ file:///x",
     "../a==1", ".==1"],
)  # fmt: skip
def test_a_requirement_is_a_name_and_a_version_and_no_option_of_pip(requirement):
    with pytest.raises(ValueError, match="requirement"):
        WheelSpec(requirement=requirement, file="a.gguf", sha256="0" * 64)


@pytest.mark.parametrize(
    "file", ["-rf.toml", "a\nb.toml", ".hidden.toml", "a b;c.toml", "..toml", "~.toml", "a\\b.toml"]
)
def test_a_suite_names_its_runs_harmlessly(tmp_path, file):
    path = tmp_path / "suites" / "deep" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('candidates = ["gpt2-mini"]\nvariants = ["torch/fp32"]\n')
    made = create_run(tmp_path / "runs", load_suite(str(path)).name, "", {})
    assert made.path.parent == tmp_path / "runs"
    assert made.path.name.isprintable()
    assert made.path.name[0].isalnum()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_baseline_is_a_plain_name(name):
    with pytest.raises(HarnessError, match="is no name for a baseline"):
        baseline_path(name, Path("baselines"))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_marker_in_a_document_names_no_folder_above_the_runs(tmp_path, name):
    (tmp_path / "document").mkdir()
    with pytest.raises((HarnessError, ValueError)):
        Sources(tmp_path / "runs", tmp_path / "baselines").find(name, tmp_path / "document")


@pytest.mark.parametrize("label", ["*", "[a]", "a**b", "?", "a b", "-x"])
def test_the_folder_name_of_a_checkpoint_is_no_pattern(tmp_path, label):
    store = ArtefactStore(tmp_path)
    (tmp_path / "kind").mkdir()
    (tmp_path / "kind" / ".other").mkdir()
    made = store.get("kind", label, "description", lambda folder: (folder / "file").write_text("x") and None)
    assert made.path.parent == tmp_path / "kind"
    assert (tmp_path / "kind" / ".other").exists()


# commands


@pytest.fixture
def repository(tmp_path) -> Path:
    from builders import git_repository

    git_repository(tmp_path / "project", {"a": "1"}, {"a": "2"})
    return tmp_path / "project"


@pytest.mark.parametrize("revision", ["--help", "-x", "--output=file"])
def test_a_revision_is_no_option_of_git(repository, revision):
    with pytest.raises(HarnessError, match="is no revision"), base_checkout(repository, revision):
        pass


@pytest.mark.parametrize("text", ["a > b", "a | b", "a; b", "a & b", "(a)", "a < b", "a || b", "a &&& b"])
def test_a_setup_that_needs_a_shell_is_refused(text):
    with pytest.raises(HarnessError, match="needs a shell, which is not used"):
        setup_commands(text)


@pytest.mark.parametrize("text", ["a &&", "&& a", "a && && b", "a 'b"])
def test_a_setup_that_is_not_whole_is_refused(text):
    with pytest.raises(HarnessError, match="--setup"):
        setup_commands(text)


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("", []),
        ("pip install -e .", [["pip", "install", "-e", "."]]),
        ("a 'b c' && d --e=\"f g\" 'h > i'", [["a", "b c"], ["d", "--e=f g", "h > i"]]),
        ("a $(b) `c` $D *.e #f".replace("(b)", "b"), [["a", "$b", "`c`", "$D", "*.e", "#f"]]),
    ],
)
def test_a_setup_is_words_as_they_stand(text, commands):
    assert setup_commands(text) == commands


def test_a_setup_is_not_interpreted(repository):
    set_up(working_tree(repository), "touch $HOME '`touch evil`' --")
    assert {path.name for path in repository.iterdir()} >= {"$HOME", "`touch evil`"}
    assert not (repository / "evil").exists()
