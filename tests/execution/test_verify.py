"""Reference numbers replayed on tiny local models, and what cannot be had here."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.checkpoint import Checkpoint, load_model, load_tokenizer
from harness.execution.verify import Reference, Sources, references, verify

ARTICLE = " = Roads = \n \n The road to the town is good . \n The market is open . \n"
BLIMP = '{"sentence_good": "The road is open.", "sentence_bad": "The road are open.", "UID": "agreement"}\n'


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    folder = tmp_path / "wikitext"
    folder.mkdir()
    for split in ("train", "valid", "test"):
        (folder / f"wiki.{split}.raw").write_text(ARTICLE * 2, encoding="utf-8")
    (tmp_path / "blimp").mkdir()
    (tmp_path / "blimp" / "agreement.jsonl").write_text(BLIMP, encoding="utf-8")
    store = ArtefactStore(tmp_path / "cache")
    return Sources(f"wikitext-2:{folder}", str(tmp_path / "blimp"), store, offline=True, threads=1)


def _reference(checkpoint: Checkpoint, **other) -> Reference:
    about = {"name": "r", "kind": "sentence", "what": "w", "measured_by": "m", "absolute": 1e-3}
    return Reference(**{**about, "path": str(checkpoint.path), "family": checkpoint.family, **other})


@torch.inference_mode()
def _log_likelihoods(checkpoint: Checkpoint, text: str) -> list[float]:
    tokenizer, model = load_tokenizer(checkpoint.path), load_model(checkpoint.path, "causal")
    ids = torch.tensor([[tokenizer.eos_token_id, *tokenizer(text)["input_ids"]]])
    logs = torch.log_softmax(model(ids).logits[0].double(), -1)
    return [float(logs[place, token]) for place, token in enumerate(ids[0, 1:])]


def test_the_shipped_references_have_names_of_their_own_and_something_to_expect():
    found = references()
    assert len({reference.name for reference in found}) == len(found) >= 15
    for reference in found:
        assert reference.expected or reference.tokens or reference.total is not None or reference.reason
        assert reference.relative or reference.absolute or reference.kind in ("corpus", "unstated")


def test_facts_of_the_corpus_are_counted(sources: Sources):
    expected = {"articles": 2, "words": 2 * 16, "bytes": 2 * len(ARTICLE)}
    reference = Reference("r", "corpus", "w", "m", expected={**expected, "bytes": 1})
    found = {finding.measure: finding for finding in verify(reference, sources)}
    assert {name: finding.measured for name, finding in found.items()} == expected
    assert [finding.status for finding in found.values()] == ["agrees", "agrees", "differs"]


def test_a_sentence_agrees_token_by_token(sources: Sources, tiny_checkpoints: dict[str, Checkpoint]):
    text = "The road is open."
    logs = _log_likelihoods(tiny_checkpoints["causal"], text)
    reference = _reference(tiny_checkpoints["causal"], text=text, tokens=tuple(logs), total=sum(logs))
    findings = verify(reference, sources)
    assert [finding.status for finding in findings] == ["agrees"] * (len(logs) + 1)
    off = dataclasses.replace(reference, tokens=(logs[0] + 0.01, *logs[1:]))
    assert [finding.status for finding in verify(off, sources)][1] == "differs"


def test_pll_by_token_and_within_words_are_told_apart(sources: Sources, tiny_checkpoints: dict[str, Checkpoint]):
    text = "The market is repaired."
    one, other = (
        verify(_reference(tiny_checkpoints["masked"], text=text, total=0.0, by_token=by_token), sources)[0].measured
        for by_token in (True, False)
    )
    assert one is not None
    assert other is not None
    assert one != other


def test_a_perplexity_is_measured_on_the_rows_joined_by_blank_lines(
    sources: Sources, tiny_checkpoints: dict[str, Checkpoint]
):
    checkpoint = tiny_checkpoints["causal"]
    rows = [" = Roads = \n", "", " The road to the town is good . \n", " The market is open . \n"] * 2
    text = "\n\n".join(rows)
    scoring = {"protocol": "sliding", "block_size": 96, "stride": 96}
    tokenizer, model = load_tokenizer(checkpoint.path), load_model(checkpoint.path, "causal")
    ids = torch.tensor([tokenizer(text)["input_ids"]])
    assert ids.shape[1] <= 96
    with torch.inference_mode():
        expected = math.exp(float(model(ids, labels=ids).loss))
    reference = _reference(
        checkpoint, kind="text", scoring=scoring, expected={"perplexity": expected}, relative=1e-5, absolute=0.0
    )
    (finding,) = verify(reference, sources)
    assert finding.status == "agrees", finding


def test_blimp_is_measured_in_per_cent(sources: Sources, tiny_checkpoints: dict[str, Checkpoint]):
    (finding,) = verify(_reference(tiny_checkpoints["causal"], kind="blimp", total=50.0), sources)
    assert finding.measured in (0.0, 50.0, 100.0)


def test_what_the_hub_has_is_not_run_without_it(sources: Sources, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub = next(reference for reference in references() if reference.hub and reference.kind == "sentence")
    (finding,) = verify(hub, sources)
    assert finding.status == "not run"
    assert hub.hub in finding.reason


def test_what_its_source_does_not_state_is_not_run(sources: Sources):
    (finding,) = verify(Reference("r", "unstated", "w", "m", reason="no protocol"), sources)
    assert (finding.status, finding.reason) == ("not run", "no protocol")
