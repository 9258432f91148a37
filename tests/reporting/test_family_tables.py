"""The tables of a family: its perplexities, their baseline, and the protocol in words."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import pytest
from builders import make_row, plainly, scored, single
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from harness.corpora.corpus import Document
from harness.engines.base import SessionFacts, Weights
from harness.quality.causal import Causal
from harness.quality.family import Family, Scoring
from harness.quality.masked import Masked
from harness.quality.seq2seq import Seq2Seq
from harness.records.metrics import METRICS
from harness.records.rows import Row
from harness.records.values import Value
from harness.reporting.quality import family_tables, protocol_words

NATS = [230.0, 250.0, 240.0]
MEASURES = {
    "causal": ("perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte"),
    "masked": ("masked_perplexity", "pseudo_perplexity", "pseudo_perplexity_by_token"),
    "seq2seq": ("span_perplexity", "infilling_perplexity"),
}


def row(name: str, metrics: Mapping[str, Value], family: str = "causal") -> Row:
    return make_row(f"{name}/torch/fp32/cpu", metrics, family, tokenizer=f"tokenizer of {name}")


def measured(family: str, name: str = "a") -> Row:
    """A row with all that is measured of a text in its family, and a baseline of twice the nats."""
    metrics = {metric: scored(metric, NATS) for metric in MEASURES[family]}
    floors = ("unigram_perplexity", "unigram_bits_per_byte") if family == "causal" else ("unigram_perplexity",)
    metrics |= {metric: scored(metric, [2 * each for each in NATS]) for metric in floors}
    return row(name, metrics, family)


@pytest.mark.parametrize("family", MEASURES)
def test_a_family_has_its_own_measures_and_their_share_of_the_baseline(family):
    ((_, _, table),) = family_tables([measured(family)])
    shown = plainly(table)
    assert shown.headers == ("variant", *(METRICS[metric].title for metric in MEASURES[family]), "of the baseline")
    assert "–" not in shown.lines[0]


def test_no_two_families_share_a_table():
    tables = family_tables([measured(family, family) for family in ("seq2seq", "causal", "masked")])
    assert [title.split(" ")[0] for title, _, _ in tables] == ["Causal", "Masked", "Sequence-to-sequence"]
    assert [[line[0] for line in table.lines] for _, _, table in tables] == [
        [f"`{family}/torch/fp32/cpu`", f"*unigram baseline ({family}, its tokenizer)*"] for family in MEASURES
    ]


def test_the_baseline_stands_under_its_perplexity_and_its_bits_per_byte():
    ((_, _, table),) = family_tables([measured("causal")])
    shown = plainly(table)
    floor = dict(zip(shown.headers, shown.lines[-1], strict=True))
    assert floor["perplexity"] == "122 [66, 223]"
    assert floor["bits per byte"] == "1.73 [1.51, 1.95]"
    assert (floor["word perplexity"], floor["byte perplexity"], floor["of the baseline"]) == ("–", "–", "1.00")


def test_the_share_of_the_baseline_is_paired_by_document():
    """One nat a token more in every document leaves no doubt, though both perplexities have their intervals."""
    floor = scored("unigram_perplexity", [each + 100 for each in NATS])
    ((_, _, table),) = family_tables(
        [row("a", {"perplexity": scored("perplexity", NATS), "unigram_perplexity": floor})]
    )
    assert plainly(table).lines[0][-1] == "0.37"


def test_perplexities_of_sentences_have_their_own_protocol_beside_that_of_the_text():
    of_sentences = scored("pseudo_perplexity", NATS, protocol="whole sentences", sentences=60)
    metrics = {"masked_perplexity": scored("masked_perplexity", NATS), "pseudo_perplexity": of_sentences}
    ((_, protocol, _),) = family_tables([row("a", metrics, "masked")])
    assert protocol.endswith("clustered by document. Of 60 whole sentences: pseudo-perplexity.")


def test_a_family_that_was_not_scored_has_no_table():
    assert family_tables([row("a", {"weights_bytes": single(5.0)})]) == []


WORDS = ("the people of town want peace and a good road " * 4).split()
SPECIAL = {"bos_token": "<s>", "unk_token": "<unk>", "cls_token": "[CLS]", "sep_token": "[SEP]",
           "mask_token": "[MASK]", "pad_token": "<pad>", "eos_token": "</s>"}  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """Whole words, and the special tokens of all families."""
    names = dict.fromkeys([*SPECIAL.values(), "<extra_id_0>", "<extra_id_1>", "<extra_id_2>", *WORDS])
    model = Tokenizer(WordLevel({name: index for index, name in enumerate(names)}, unk_token="<unk>"))
    model.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=model, **SPECIAL)


def words_of(kind: type[Family], family: str, tokenizer: PreTrainedTokenizerFast, scoring: Scoring) -> str:
    """The words for a protocol as the family itself writes it, for a model that reads 16 tokens."""
    asked = kind(tokenizer, SessionFacts(family, len(tokenizer), Weights(0), "cpu", positions=16))
    text = asked.text([Document("letters", " ".join(WORDS))], scoring)
    metric = MEASURES[family][0]
    return protocol_words([row("a", {metric: scored(metric, NATS, **text.protocol, batch_size=8)}, family)])


@pytest.mark.parametrize(
    ("scoring", "words"),
    [
        (Scoring("block", 8), "protocol block, block size 8, joined by nothing, BOS none"),
        (Scoring("sliding", 8, 2), "protocol sliding, window 8, stride 2, joined by nothing, BOS none"),
        (
            Scoring("lm-eval", 8),
            "protocol lm-eval, window 8, documents apart, prefix &lt;s&gt;, BOS none, text as it is",
        ),
        (Scoring("llama.cpp", 8), "protocol llama.cpp, window 8, scored second half of each window, BOS none"),
    ],
    ids=["block", "sliding", "lm-eval", "llama.cpp"],
)
def test_a_causal_protocol_is_told_with_all_that_its_perplexity_depends_on(tokenizer, scoring, words):
    assert words_of(Causal, "causal", tokenizer, scoring) == (
        f"{words}, batches of 8; 300 tokens scored. Intervals: 95 %, clustered by document."
    )


def test_the_models_longest_window_is_told_as_a_number(tokenizer):
    assert "window 16, stride 8," in words_of(Causal, "causal", tokenizer, Scoring("sliding", block_size=0))


def test_a_bos_that_the_tokenizer_puts_in_front_is_told(tokenizer):
    in_front = copy.deepcopy(tokenizer)
    special = [("<s>", tokenizer.bos_token_id)]
    in_front.backend_tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=special)
    assert "BOS at the start of each window" in words_of(Causal, "causal", in_front, Scoring("llama.cpp", 8))


def test_detokenised_text_is_told(tokenizer):
    words = words_of(Causal, "causal", tokenizer, Scoring("lm-eval", 8, detokenise=True))
    assert "text detokenised, divided by the original's bytes and words" in words


def test_frozen_masks_are_told_with_share_and_seed(tokenizer):
    words = words_of(Masked, "masked", tokenizer, Scoring(block_size=8, mask_seed=3))
    assert words.startswith("protocol frozen masks, block size 8, mask share 0.15, mask seed 3, batches of 8;")


def test_frozen_spans_are_told_with_share_length_and_seed(tokenizer):
    words = words_of(Seq2Seq, "seq2seq", tokenizer, Scoring(block_size=8, mask_seed=3))
    assert words.startswith("protocol frozen spans, block size 8, corrupted 0.15, mean span 3.0, mask seed 3, batches")


def causal(nats: Sequence[float] = NATS, **protocol) -> Row:
    """A row under protocol ``block``, changed by what is given."""
    return row("a", {"perplexity": scored("perplexity", nats, **protocol)})


def test_a_protocol_that_all_share_is_told_once():
    assert protocol_words([causal(), causal()]).count("protocol block") == 1


def test_protocols_that_differ_are_all_told():
    words = protocol_words([causal(block_size=1024), causal(block_size=64), causal(block_size=64)])
    assert words.startswith("protocol block, block size 1024, joined by nothing, BOS none; protocol block, block size")
    assert words.count("protocol block") == 2


def test_tokens_that_the_vocabulary_cannot_spell_are_told():
    assert "unknown tokens 3" in protocol_words([causal(unknown_tokens=3)])


def test_where_tokenizers_differ_the_fewest_and_the_most_tokens_are_told():
    words = protocol_words([causal([230.0] * 30), causal([230.0] * 11), causal([230.0] * 20)])
    assert "; 1,100–3,000 tokens scored." in words


def test_quantised_variants_that_are_scored_one_at_a_time_do_not_make_another_protocol():
    words = protocol_words([causal(batch_size=8), causal(batch_size=1)])
    assert words.count("protocol block") == 1
    assert "batches of 8" in words
    assert "(1 where quantised); 300 tokens scored." in words


@pytest.mark.parametrize("size", [1, 8])
def test_where_all_are_scored_in_the_same_batches_nothing_is_said_of_quantised_ones(size):
    words = protocol_words([causal(batch_size=size), causal(batch_size=size)])
    assert f", batches of {size}; 300 tokens scored." in words
    assert "quantised" not in words
