"""Code that lies with a checkpoint runs only where its candidate says so, and the report says that it did."""

from __future__ import annotations

import sys

import pytest
from hostile import with_own_code
from stored_runs import INFO, a_run, a_variant
from tiny import TINY

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.catalogue import Candidate, resolve
from harness.candidates.checkpoint import count_parameters, load_model, load_tokenizer, open_checkpoint
from harness.candidates.published import warn_of_code
from harness.candidates.spec import CandidateSpec
from harness.engines.base import Setup
from harness.engines.export import exported
from harness.engines.torch_engine import TorchEngine
from harness.errors import HarnessError, UnavailableError
from harness.reporting.markdown import report
from harness.reporting.model_card import model_card
from harness.suites.loader import check_suite, with_local


def spec(**keys) -> CandidateSpec:
    return CandidateSpec.model_validate({"origin": "published", "family": "causal", "path": "x", **keys})


@pytest.mark.slow
def test_without_the_key_no_code_is_run_and_the_reason_names_the_key(hostile_run):
    assert not (hostile_run.folder / "closed-ran").exists()
    failed = next(row for row in hostile_run.rows if row["variant"] == "closed/torch/fp32/cpu")
    assert failed["status"] == "failed"
    assert failed["reason"].endswith("run only where its candidate has 'trust_remote_code = true'")


@pytest.mark.slow
def test_with_the_key_it_is_run_and_measured(hostile_run):
    assert (hostile_run.folder / "open-ran").exists()
    assert [row["status"] for row in hostile_run.rows if row["candidate"] == "open"] == ["ok"]


@pytest.mark.slow
def test_the_report_and_stderr_warn_of_the_one_that_was_run(hostile_run):
    warning = next(line for line in hostile_run.text("report.md").splitlines() if "Warning" in line)
    assert "`open`" in warning
    assert "`closed`" not in warning
    assert "warning: open will run Python code that lies with the checkpoint" in hostile_run.stderr


# the pieces


def test_the_key_is_off_unless_it_is_written():
    assert not spec().trust_remote_code
    assert spec(trust_remote_code=True).trust_remote_code


@pytest.mark.parametrize("value", ["true", 1, "yes"])
def test_a_suite_takes_nothing_but_true_for_it(value):
    table = {
        "candidates": ["mine"],
        "variants": ["torch/fp32"],
        "candidate": {"mine": {"origin": "published", "family": "causal", "path": "x", "trust_remote_code": value}},
    }
    with pytest.raises(HarnessError, match="trust_remote_code"):
        check_suite(table, "suite")


@pytest.mark.parametrize(
    "keys",
    [
        TINY["causal"].model_dump(exclude_unset=True),
        {
            "origin": "published",
            "family": "causal",
            "wheel": {"requirement": "a==1", "file": "b.gguf", "sha256": "0" * 64},
        },
    ],
)
def test_only_published_checkpoints_take_the_key(keys):
    with pytest.raises(ValueError, match="'trust_remote_code' goes with 'hub' and 'path'"):
        CandidateSpec.model_validate({**keys, "trust_remote_code": True})


def test_a_known_architecture_is_loaded_by_the_known_code(tiny_checkpoints, tmp_path):
    folder = with_own_code(tiny_checkpoints["causal"].path, tmp_path / "own", tmp_path / "ran", model_type="gpt2")
    checkpoint = open_checkpoint(folder, "causal")
    assert type(load_model(folder, "causal")).__module__.startswith("transformers.models.gpt2")
    assert count_parameters(checkpoint) == count_parameters(tiny_checkpoints["causal"])
    load_tokenizer(folder)
    assert not (tmp_path / "ran").exists()


def test_code_is_never_asked_for(tiny_checkpoints, tmp_path, monkeypatch):
    """transformers asks a user at a terminal, who may well press y, unless it is told."""
    folder = with_own_code(tiny_checkpoints["causal"].path, tmp_path / "own", tmp_path / "ran")
    monkeypatch.setattr("builtins.input", lambda question: "y")
    with pytest.raises(HarnessError, match="trust_remote_code = true"):
        count_parameters(open_checkpoint(folder, "causal"))
    with pytest.raises(HarnessError, match="trust_remote_code = true"):
        load_model(folder, "causal")
    assert not (tmp_path / "ran").exists()


def test_an_export_does_not_run_it(tiny_checkpoints, tmp_path):
    folder = with_own_code(tiny_checkpoints["causal"].path, tmp_path / "own", tmp_path / "ran")
    with pytest.raises(UnavailableError, match="not exported; engine 'torch' runs it"):
        exported(open_checkpoint(folder, "causal", trust_remote_code=True), None)  # type: ignore[arg-type]
    assert not (tmp_path / "ran").exists()


def test_code_that_may_run_is_a_part_of_what_the_checkpoint_is(tiny_checkpoints, tmp_path):
    folder = with_own_code(tiny_checkpoints["causal"].path, tmp_path / "own", tmp_path / "ran")
    trusted = {"mine": spec(path=str(folder), trust_remote_code=True)}
    before = open_checkpoint(folder, "causal", True).weights_hash, resolve("mine", trusted).description("")
    untrusted = open_checkpoint(folder, "causal").weights_hash
    (folder / "modeling_own.py").write_text("something else")
    assert open_checkpoint(folder, "causal", True).weights_hash != before[0]
    assert resolve("mine", trusted).description("") != before[1]
    assert open_checkpoint(folder, "causal").weights_hash == untrusted


def test_a_local_folder_in_place_of_a_published_one_keeps_its_key(tmp_path):
    own = {"mine": spec(path=None, hub="somebody/model", trust_remote_code=True)}
    assert with_local(own, ["mine"], [f"mine={tmp_path}"])["mine"].trust_remote_code


def test_stderr_is_told_of_those_with_the_key_alone(capsys):
    candidates = [Candidate("open", spec(trust_remote_code=True)), Candidate("closed", spec())]
    warn_of_code(candidates)
    assert capsys.readouterr().err.startswith("warning: open will run")
    warn_of_code(candidates[1:])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("value", "warned"), [(True, True), (False, False)])
def test_report_and_model_card_warn_of_it(value, warned):
    about = {**INFO, "suite": {**INFO["suite"], "candidate": {"mini": {"trust_remote_code": value}}}}
    run = a_run("run-1", a_variant(), info=about)
    for text in (report(run), model_card(run)):
        assert ("`mini` ran Python code that came with the weights" in text) is warned


def test_converted_weights_keep_the_code_that_runs_them(tiny_checkpoints, tmp_path, monkeypatch):
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr("sys.path", [*sys.path])
    folder = with_own_code(tiny_checkpoints["causal"].path, tmp_path / "own", tmp_path / "ran")
    checkpoint, setup = open_checkpoint(folder, "causal", True), Setup("int8", trust_remote_code=True)
    prepared = TorchEngine().prepare(checkpoint, setup, ArtefactStore(tmp_path / "cache"))
    assert TorchEngine().open(prepared, "causal", setup).facts.family == "causal"
    assert (tmp_path / "ran").read_text() == "model"


def test_a_setup_does_not_trust_unless_told():
    assert not Setup("fp32").trust_remote_code
