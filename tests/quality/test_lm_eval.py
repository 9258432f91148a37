"""Protocol ``lm-eval`` against lm-evaluation-harness itself, on the same model and text."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from harness.candidates.checkpoint import Checkpoint, load_tokenizer
from harness.corpora.corpus import Corpus, Document
from harness.corpora.wikitext import articles
from harness.engines.base import Setup
from harness.engines.torch_engine import TorchEngine
from harness.quality.detokenise import detokenise_wikitext
from harness.quality.family import Scoring
from harness.quality.measures import family_of, measure_text
from harness.quality.protocols import rolling_windows
from harness.quality.text import Stream

lm_eval = pytest.importorskip("lm_eval", reason="lm-evaluation-harness is in the extra 'test'")

MEASURES = ("word_perplexity", "byte_perplexity", "bits_per_byte")
TASK = """
task: wikitext_local
dataset_path: json
dataset_kwargs:
  data_files:
    test: {data}
output_type: loglikelihood_rolling
test_split: test
doc_to_text: ""
doc_to_target: !function preprocess_wikitext.wikitext_detokenizer
process_results: !function preprocess_wikitext.process_results
metric_list:
  - metric: word_perplexity
  - metric: byte_perplexity
  - metric: bits_per_byte
"""


def _theirs(checkpoint: Path, documents: Sequence[Document], folder: Path) -> dict[str, float]:
    """What lm-evaluation-harness says of a local model on its own WikiText task, read from a local file."""
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    own = Path(lm_eval.__file__).parent / "tasks" / "wikitext" / "preprocess_wikitext.py"
    shutil.copyfile(own, folder / own.name)
    data = folder / "test.jsonl"
    data.write_text("".join(json.dumps({"page": doc.text}) + "\n" for doc in documents), encoding="utf-8")
    (folder / "wikitext_local.yaml").write_text(TASK.format(data=data), encoding="utf-8")
    found = lm_eval.simple_evaluate(
        model=HFLM(pretrained=str(checkpoint), dtype="float32", batch_size=1, device="cpu"),
        tasks=["wikitext_local"],
        task_manager=TaskManager(include_path=str(folder), include_defaults=False),
        bootstrap_iters=0,
    )
    return {name: found["results"]["wikitext_local"][f"{name},none"] for name in MEASURES}


def _ours(checkpoint: Path, documents: Sequence[Document]) -> dict[str, float]:
    session, tokenizer = TorchEngine().open(checkpoint, "causal", Setup("fp32", threads=2)), load_tokenizer(checkpoint)
    scoring = Scoring(protocol="lm-eval", block_size=0, detokenise=True)
    counts = np.ones(session.facts.vocabulary_size, dtype=np.int64)
    facts = measure_text(session, family_of(session, tokenizer), documents, counts, scoring)
    return {fact.metric: fact.value for fact in facts if fact.metric in MEASURES and fact.value is not None}


def _with_bos(checkpoint: Path, folder: Path) -> Path:
    """The checkpoint with a tokenizer that puts a BOS in front by itself, as Llama's does."""
    from tokenizers.processors import TemplateProcessing

    shutil.copytree(checkpoint, folder)
    tokenizer = load_tokenizer(folder)
    bos = tokenizer.eos_token
    template = TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, tokenizer.eos_token_id)])
    tokenizer.backend_tokenizer.post_processor = template
    tokenizer.bos_token = bos
    tokenizer.save_pretrained(folder)
    assert load_tokenizer(folder)("road")["input_ids"][0] == tokenizer.eos_token_id
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("bos", [False, True], ids=["plain tokenizer", "tokenizer that adds a BOS"])
def test_perplexities_are_those_of_lm_evaluation_harness(
    tiny_checkpoints: dict[str, Checkpoint], corpus: Corpus, tmp_path: Path, bos: bool
):
    path = tiny_checkpoints["causal"].path
    checkpoint = _with_bos(path, tmp_path / "model") if bos else path
    documents = [
        Document(doc.name, f" \n = {doc.name} = \n \n " + doc.text.replace(",", " ,").replace(".", " ."))
        for doc in corpus.splits["test"]
    ]
    theirs = _theirs(checkpoint, documents, tmp_path)
    assert _ours(checkpoint, documents) == pytest.approx(theirs, rel=1e-5)


@pytest.mark.slow
def test_they_are_so_on_the_raw_wikitext_2_test_split(
    tiny_checkpoints: dict[str, Checkpoint], shared_data: Path, tmp_path: Path
):
    raw = (shared_data / "wikitext-2" / "wiki.test.raw").read_text(encoding="utf-8")
    documents = articles(raw.removesuffix("\n").split("\n"))[:6]
    path = tiny_checkpoints["causal"].path
    assert _ours(path, documents) == pytest.approx(_theirs(path, documents, tmp_path), rel=1e-5)


def test_text_is_detokenised_as_lm_evaluation_harness_does(shared_data: Path):
    from lm_eval.tasks.wikitext.preprocess_wikitext import wikitext_detokenizer

    raw = (shared_data / "wikitext-2" / "wiki.test.raw").read_text(encoding="utf-8")
    for document in articles(raw.removesuffix("\n").split("\n")):
        assert detokenise_wikitext(document.text) == wikitext_detokenizer({"page": document.text})


@pytest.mark.parametrize("length", [0, 1, 9, 10, 11, 20, 25, 30])
def test_windows_are_those_of_lm_evaluation_harness(length: int):
    from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

    places = np.arange(length)
    text = Stream(places + 100, np.zeros(length, dtype=np.int64), places, places + 1)
    theirs = [
        make_disjoint_window(pair)
        for pair in get_rolling_token_windows(list(text.ids), prefix_token=7, max_seq_len=10, context_len=1)
    ]
    ours = list(rolling_windows(text, 10, 7))
    assert [list(window.targets) for window in ours] == [predicted for _, predicted in theirs]
    assert [list(window.ids) for window in ours] == [(context + predicted)[:-1] for context, predicted in theirs]
