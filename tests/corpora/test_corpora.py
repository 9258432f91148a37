from __future__ import annotations

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from harness.corpora.catalogue import load_corpus
from harness.corpora.corpus import Document, excerpt
from harness.corpora.wikitext import articles, lines_of
from harness.errors import HarnessError


def test_sotu_splits_all_249_addresses_by_document():
    corpus = load_corpus("sotu")
    sizes = {split: len(documents) for split, documents in corpus.splits.items()}
    assert sizes == {"train": 199, "validation": 25, "test": 25}
    names = [doc.name for documents in corpus.splits.values() for doc in documents]
    assert len(set(names)) == 249
    assert corpus.splits["test"][0].name == "1790-Washington-1"


def test_sotu_refuses_a_path():
    with pytest.raises(HarnessError, match="text:PATH"):
        load_corpus("sotu:somewhere")


def test_an_unknown_corpus_is_met_with_the_nearest_name():
    with pytest.raises(HarnessError, match="wikitext-2"):
        load_corpus("wikitext2")


def test_wikitext_test_split_has_the_published_size(shared_data: Path):
    # the facts of the raw test split: 62 articles, 241,211 words, 1,290,590 bytes
    documents = load_corpus(f"wikitext-2:{shared_data / 'wikitext-2'}").splits["test"]
    text = "".join(document.text for document in documents)
    assert len(documents) == 62
    assert len(text.encode("utf-8")) == 1_290_590
    assert len(text.split()) == 241_211


def test_wikitext_says_which_splits_are_word_tokens(shared_data: Path):
    corpus = load_corpus(f"wikitext-2:{shared_data / 'wikitext-2'}")
    assert corpus.note.startswith("train as word tokens")


def test_wikitext_folder_without_a_split_names_the_missing_files(tmp_path: Path):
    (tmp_path / "wiki.train.raw").write_text(" = A = \n text \n")
    with pytest.raises(HarnessError, match=r"neither wiki\.valid\.raw nor wiki\.valid\.tokens"):
        load_corpus(f"wikitext-2:{tmp_path}")


def test_wikitext_without_hub_or_cache_says_what_to_give_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import datasets.config

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    with pytest.raises(HarnessError, match="--corpus wikitext-2:FOLDER"):
        load_corpus("wikitext-2")


def test_articles_open_at_level_one_headings_only():
    lines = ["", " = First = ", "", " = = Section = = ", "", " text ", "", " = Second = ", "", " more "]
    found = articles(lines)
    assert [doc.name for doc in found] == ["000 First", "001 Second"]
    assert "Section" in found[0].text


def test_text_file_is_cut_at_blank_lines(tmp_path: Path):
    file = tmp_path / "mine.txt"
    file.write_text("one\n\ntwo\n\nthree\n\nfour")
    corpus = load_corpus(f"text:{file}")
    assert sum(len(documents) for documents in corpus.splits.values()) == 4


def test_text_folder_mixes_txt_jsonl_and_parquet(tmp_path: Path):
    (tmp_path / "a.txt").write_text("plain")
    (tmp_path / "b.jsonl").write_text(json.dumps({"text": "line"}) + "\n")
    pyarrow.parquet.write_table(pyarrow.table({"text": ["row"]}), tmp_path / "c.parquet")
    corpus = load_corpus(f"text:{tmp_path}")
    assert {doc.text for documents in corpus.splits.values() for doc in documents} == {"plain", "line", "row"}


def test_text_folder_with_named_splits_keeps_them(tmp_path: Path):
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.jsonl").write_text(json.dumps({"text": split}) + "\n")
    corpus = load_corpus(f"text:{tmp_path}")
    assert [doc.text for doc in corpus.splits["validation"]] == ["dev"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("bad.txt", b"caf\xe9", "byte 3 is 0xe9"),
        ("bad.jsonl", b"{broken", "line 1: not JSON"),
        ("bad.jsonl", b'{"body": "x"}', "key 'text'"),
        ("few.txt", b"only one", "3 are needed"),
        ("empty.txt", b"", "0 documents"),
        ("odd.pdf", b"x", "none of .txt"),
        ("bad.parquet", b"not parquet", "column 'text'"),
    ],
)
def test_text_that_cannot_be_used_is_named_with_the_reason(tmp_path: Path, name: str, content: bytes, message: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(HarnessError, match=message):
        load_corpus(f"text:{tmp_path / name}")


def test_a_missing_path_is_named(tmp_path: Path):
    with pytest.raises(HarnessError, match="there is no"):
        load_corpus(f"text:{tmp_path / 'nowhere'}")


def test_an_excerpt_is_whole_words_from_the_middle():
    document = Document("long", " ".join(f"word{i}" for i in range(1000)))
    short = excerpt(document, 100)
    assert 60 < len(short.text) <= 100
    assert set(short.text.split()) < set(document.text.split())
    assert "word0 " not in short.text


def test_an_excerpt_of_a_short_document_is_the_document():
    document = Document("short", "a few words")
    assert excerpt(document, 100) is document


def test_half_a_surrogate_pair_in_a_json_line_is_refused_by_file_and_line(tmp_path: Path):
    file = tmp_path / "a.jsonl"
    file.write_text('{"text": "a road"}\n{"text": "road\\ud800"}\n{"text": "a town"}\n', encoding="utf-8")
    with pytest.raises(HarnessError, match=r"a\.jsonl, line 2: half a surrogate pair at character 4"):
        load_corpus(f"text:{file}")


def test_a_json_line_of_endless_brackets_is_refused_by_file_and_line(tmp_path: Path):
    file = tmp_path / "a.jsonl"
    file.write_text('{"text": "a road"}\n' + "[" * 100_000, encoding="utf-8")
    with pytest.raises(HarnessError, match=r"a\.jsonl, line 2: not JSON \(maximum recursion"):
        load_corpus(f"text:{file}")


def test_a_parquet_file_whose_text_is_no_utf8_is_refused_by_name(tmp_path: Path):
    table = pyarrow.table({"text": pyarrow.array([b"caf\xff"]).view(pyarrow.string())})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(HarnessError, match=r"a\.parquet: cannot read a column 'text' \('utf-8' codec"):
        load_corpus(f"text:{tmp_path / 'a.parquet'}")


def test_rows_of_the_hub_are_the_lines_of_the_file():
    rows = ["", " = Roads = \n", "", " A road . \n"]
    assert "".join(f"{line}\n" for line in lines_of(rows)) == " \n = Roads = \n \n A road . \n"
