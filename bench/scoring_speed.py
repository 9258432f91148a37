"""How fast a text is scored: this program beside lm-evaluation-harness, the same model and text, in turn.

    python bench/scoring_speed.py --wikitext FOLDER --candidate smollm2-135m --articles 1 --rounds 6

Prints a Markdown table: tokens a second of each, and the ratio to lm-evaluation-harness, paired by round. Each reading
scores the whole text once, after one round that is thrown away; models are loaded once. Run nothing beside it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.catalogue import resolve
from harness.candidates.checkpoint import Checkpoint, load_tokenizer
from harness.cli.options import cache_folder
from harness.corpora.catalogue import load_corpus
from harness.corpora.corpus import Document
from harness.engines.base import Session, Setup
from harness.engines.catalogue import engine_kind
from harness.quality.family import Scoring
from harness.quality.measures import family_of
from harness.quality.windows import score_windows
from harness.records.environment import available_cores
from harness.reporting.table import Table
from harness.selection.equivalence import gate_of
from harness.stats.intervals import Estimate, median_estimate
from harness.stats.paired import paired_time_ratio
from harness.training.checkpoints import obtain

SCORING = Scoring(protocol="lm-eval", block_size=0, detokenise=True)
TASK = """
task: scoring_speed
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
output_type: loglikelihood_rolling
test_split: test
doc_to_text: ""
doc_to_target: !function preprocess_wikitext.wikitext_detokenizer
process_results: !function preprocess_wikitext.process_results
metric_list: [{{metric: word_perplexity}}, {{metric: byte_perplexity}}, {{metric: bits_per_byte}}]
"""


def lm_eval_scorer(checkpoint: Checkpoint, documents: Sequence[Document], folder: Path) -> Callable[[], float]:
    """Scores the text with lm-evaluation-harness at batch 1; returns nats."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    own = Path(lm_eval.__file__).parent / "tasks" / "wikitext" / "preprocess_wikitext.py"
    shutil.copyfile(own, folder / own.name)
    data = folder / "test.jsonl"
    data.write_text("".join(json.dumps({"page": doc.text}) + "\n" for doc in documents), encoding="utf-8")
    (folder / "task.yaml").write_text(TASK.format(data=data), encoding="utf-8")
    model = HFLM(pretrained=str(checkpoint.path), dtype="float32", batch_size=1, device="cpu")
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    size = sum(len(document.text.encode("utf-8")) for document in documents)

    def score() -> float:
        found = lm_eval.simple_evaluate(model, tasks=["scoring_speed"], task_manager=manager, bootstrap_iters=0)
        return float(found["results"]["scoring_speed"]["bits_per_byte,none"]) * size * 0.6931471805599453

    return score


def own_scorer(session: Session, checkpoint: Checkpoint, documents: Sequence[Document]) -> Callable[[], float]:
    """Scores the text with a session, tokenising included; returns nats."""
    family = family_of(session, load_tokenizer(checkpoint.path))

    def score() -> float:
        text = family.text(documents, SCORING)
        return float(score_windows(session, text.windows, SCORING.batch_size).checked(documents).nll.sum())

    return score


def measured(scorers: dict[str, Callable[[], float]], rounds: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds of each scorer in each round, in turn, and the nats that it found."""
    seconds: dict[str, list[float]] = {name: [] for name in scorers}
    nats: dict[str, float] = {}
    for number in range(rounds + 1):
        for name, score in scorers.items():
            start = time.perf_counter()
            nats[name] = score()
            if number:
                seconds[name].append(time.perf_counter() - start)
            print(f"round {number}: {name} {time.perf_counter() - start:.2f} s", flush=True)
    return seconds, nats


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wikitext", required=True, help="folder with wiki.{train,valid,test}.raw or .tokens")
    parser.add_argument("--candidate", default="smollm2-135m", help="a causal candidate of the catalogue")
    parser.add_argument("--articles", type=int, default=1, help="articles of the test split, from the first on")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--cache-dir", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(available_cores())
    candidate = resolve(asked.candidate, {})
    store = ArtefactStore(cache_folder(asked.cache_dir))
    checkpoint = obtain(candidate, "sotu", load_corpus("sotu").hash, store, True, lambda share, word: None)
    setup = Setup("fp32", threads=available_cores())
    documents = load_corpus(f"wikitext-2:{asked.wikitext}").splits["test"][: asked.articles]
    with tempfile.TemporaryDirectory() as folder:
        scorers = {"lm-evaluation-harness": lm_eval_scorer(checkpoint, documents, Path(folder))}
        for name in ("torch", "onnxruntime"):
            engine = engine_kind(name).load()
            prepared = engine.prepare(checkpoint, setup, store)
            session = engine.open(prepared, "causal", setup)
            scorers[f"harness, {name}/fp32"] = own_scorer(session, checkpoint, documents)
        seconds, nats = measured(scorers, asked.rounds)
    tokenizer = load_tokenizer(checkpoint.path)
    tokens = sum(len(tokenizer(document.text, verbose=False)["input_ids"]) for document in documents)
    print(f"\n{asked.candidate}, {asked.articles} articles, about {tokens:,} tokens, {available_cores()} cores\n")
    print(table(seconds, nats, tokens).markdown())


def table(seconds: dict[str, list[float]], nats: dict[str, float], tokens: int) -> Table:
    """Tokens a second, speed over lm-evaluation-harness (the first) in pairs, and how far the nats are from its own."""
    (base, *_) = seconds
    lines = []
    for name, readings in seconds.items():
        speed = median_estimate([tokens / each for each in readings])
        ratio = paired_time_ratio(readings, seconds[base])
        off = nats[name] / nats[base] - 1
        passes = "yes" if abs(off) <= gate_of("fp32").perplexity else "no"
        lines.append((name, _shown(speed, 0), _shown(ratio, 2), f"{off:+.1e}", passes))
    headers = ("tool", "tokens/s", "speed ratio", "nats, relative difference", "within 0.1 %")
    return Table(headers, tuple(lines))


def _shown(estimate: Estimate, digits: int) -> str:
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.{digits}f}"
    return f"{estimate.value:.{digits}f} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


if __name__ == "__main__":
    main()
