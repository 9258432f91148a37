from __future__ import annotations

import json
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from harness.errors import HarnessError, UnavailableError
from harness.items.blimp import LONGEST_LINE, load_blimp


def line(good: object = "It is good.", bad: object = "It are good.", uid: object = "agreement") -> str:
    return json.dumps({"sentence_good": good, "sentence_bad": bad, "UID": uid, "pairID": "0"}) + "\n"


def paradigm(name: str, pairs: int = 3) -> str:
    return "".join(line(f"{name} {i} is.", f"{name} {i} are.", name) for i in range(pairs))


def zipped(folder: Path, members: dict[str, str | bytes]) -> Path:
    path = folder / "pairs.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "second.jsonl").write_text(paradigm("second"))
    (tmp_path / "first.jsonl").write_text(paradigm("first"))
    return tmp_path


def test_the_published_zip_has_67_paradigms_of_1000_pairs_less_seven_that_are_equal(shared_data: Path):
    # issue 10 of github.com/alexwarstadt/blimp: two of passive_1 and five of principle_A_case_2
    found = load_blimp(str(shared_data / "blimp" / "BLiMP.zip"), 0)
    sizes = Counter(choice.kind for choice in found.choices)
    assert len(found.paradigms) == 67
    assert {name: size for name, size in sizes.items() if size != 1000} == {"passive_1": 998, "principle_A_case_2": 995}
    assert found.passed_over == 7


def test_the_published_zip_gives_the_first_pairs_of_each_paradigm(shared_data: Path):
    found = load_blimp(str(shared_data / "blimp" / "BLiMP.zip"), 10)
    assert set(Counter(choice.kind for choice in found.choices).values()) == {10}
    first = found.choices[0]
    assert (first.kind, first.good) == ("adjunct_island", "Who should Derek hug after shocking Richard?")


def test_paradigms_are_sorted_and_choices_name_theirs(folder: Path):
    found = load_blimp(str(folder), 0)
    assert found.paradigms == ("first", "second")
    assert [(choice.document, choice.kind) for choice in found.choices] == [(0, "first")] * 3 + [(1, "second")] * 3


def test_pairs_are_the_first_of_each_paradigm_in_file_order(folder: Path):
    found = load_blimp(str(folder), 2)
    assert [choice.good for choice in found.choices] == ["first 0 is.", "first 1 is.", "second 0 is.", "second 1 is."]


def test_a_paradigm_with_fewer_pairs_gives_what_it_has(folder: Path):
    assert len(load_blimp(str(folder), 100).choices) == 6


def test_a_paradigm_is_named_by_its_lines_and_not_by_its_file(tmp_path: Path):
    (tmp_path / "all.jsonl").write_text(paradigm("second") + paradigm("first"))
    assert load_blimp(str(tmp_path), 0).paradigms == ("first", "second")


def test_files_are_found_in_a_folder_data_below(folder: Path, tmp_path: Path):
    direct = load_blimp(str(folder), 0)
    (folder / "data").mkdir()
    for name in ("first", "second"):
        (folder / f"{name}.jsonl").rename(folder / "data" / f"{name}.jsonl")
    assert load_blimp(str(tmp_path), 0) == direct


def test_a_zip_and_a_folder_with_the_same_pairs_are_equal(folder: Path, tmp_path: Path):
    path = zipped(tmp_path, {"deep/er/a.jsonl": paradigm("first"), "deep/b.jsonl": paradigm("second")})
    assert load_blimp(str(path), 0).hash == load_blimp(str(folder), 0).hash


def test_files_that_macos_adds_to_a_zip_are_ignored(tmp_path: Path):
    path = zipped(
        tmp_path,
        {"data/a.jsonl": paradigm("first"), "__MACOSX/data/._a.jsonl": b"\x00\x05\x16\xff", "data/._a.jsonl": b"\xff"},
    )
    assert load_blimp(str(path), 0).paradigms == ("first",)


def test_the_hash_names_the_pairs_that_were_taken(folder: Path):
    hashes = {load_blimp(str(folder), pairs).hash for pairs in (0, 1, 2, 3)}
    assert len(hashes) == 3


def test_a_pair_of_equal_sentences_is_passed_over_for_the_next(tmp_path: Path):
    (tmp_path / "a.jsonl").write_text(line("Same.", "Same.") + line("First.", "Worse.") + line("Second.", "Worse."))
    found = load_blimp(str(tmp_path), 1)
    assert [choice.good for choice in found.choices] == ["First."]
    assert found.passed_over == 1


def test_blank_lines_and_a_missing_last_newline_are_no_error(tmp_path: Path):
    (tmp_path / "a.jsonl").write_text("\n" + line() + "\r\n" + line("Another.", "Worse.").rstrip("\n"))
    assert len(load_blimp(str(tmp_path), 0).choices) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(line() + "{broken", r"a\.jsonl, line 2: not JSON", id="broken"),
        pytest.param("[" * 100_000, r"a\.jsonl, line 1: not JSON", id="nested too deep"),
        pytest.param("[1, 2]", r"a\.jsonl, line 1: expected an object", id="list"),
        pytest.param(
            '{"sentence_good": "a", "UID": "x"}', r"a\.jsonl, line 1: 'sentence_bad' must be a text", id="key missing"
        ),
        pytest.param(line(good=""), r"a\.jsonl, line 1: 'sentence_good' must be a text", id="empty"),
        pytest.param(line(bad=" "), r"a\.jsonl, line 1: 'sentence_bad' must be a text", id="blank"),
        pytest.param(line(good=3), r"a\.jsonl, line 1: 'sentence_good' must be a text", id="number"),
        pytest.param(line(uid=None), r"a\.jsonl, line 1: 'UID' must be a text", id="no paradigm"),
        pytest.param(
            line(good="half \ud800"),
            r"a\.jsonl, line 1: 'sentence_good' has half a surrogate pair at character 5",
            id="half a surrogate",
        ),
        pytest.param(
            line("Same.", "Same."), "both sentences are the same in every pair of 'agreement'", id="all equal"
        ),
        pytest.param("\n", "there is no pair", id="no pair"),
        pytest.param(line("a" * LONGEST_LINE), r"a\.jsonl, line 1: longer than 1,000,000 bytes", id="long line"),
        pytest.param(
            b'{"sentence_good": "caf\xe9"}', r"a\.jsonl, line 1: not UTF-8 text: byte 22 is 0xe9", id="latin-1"
        ),
    ],
)
@pytest.mark.parametrize("inside", ["folder", "zip"])
def test_a_file_that_cannot_be_used_is_named_with_the_line_and_the_reason(
    tmp_path: Path, content: str | bytes, message: str, inside: str
):
    data = content.encode() if isinstance(content, str) else content
    (tmp_path / "a.jsonl").write_bytes(data)
    location = tmp_path if inside == "folder" else zipped(tmp_path, {"data/a.jsonl": data})
    with pytest.raises(HarnessError, match=message) as raised:
        load_blimp(str(location), 0)
    assert "\n" not in str(raised.value)


def test_a_line_that_unpacks_to_gigabytes_is_refused_early(tmp_path: Path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.jsonl", "w") as member:
        for _ in range(50):
            member.write(b" " * 1_000_000)
    with pytest.raises(HarnessError, match="line 1: longer than"):
        load_blimp(str(path), 0)


def test_a_missing_path_is_named(tmp_path: Path):
    with pytest.raises(HarnessError, match=r"there is no .*nowhere\.zip"):
        load_blimp(str(tmp_path / "nowhere.zip"), 0)


def test_a_folder_without_jsonl_is_named(tmp_path: Path):
    with pytest.raises(HarnessError, match=r"no \.jsonl file in"):
        load_blimp(str(tmp_path), 0)


def test_a_zip_without_jsonl_is_named(tmp_path: Path):
    with pytest.raises(HarnessError, match=r"no \.jsonl file in .*pairs\.zip"):
        load_blimp(str(zipped(tmp_path, {"readme.txt": "nothing"})), 0)


def test_a_file_that_is_no_zip_by_name_is_refused(tmp_path: Path):
    (tmp_path / "a.tar").write_bytes(b"")
    with pytest.raises(HarnessError, match=r"a\.tar is neither a folder nor a \.zip"):
        load_blimp(str(tmp_path / "a.tar"), 0)


def test_a_zip_that_is_none_is_refused(tmp_path: Path):
    (tmp_path / "a.zip").write_bytes(b"not a zip")
    with pytest.raises(HarnessError, match=r"cannot read .*a\.zip: not a \.zip, damaged"):
        load_blimp(str(tmp_path / "a.zip"), 0)


def test_a_damaged_member_of_a_zip_is_refused(tmp_path: Path):
    path = zipped(tmp_path, {"a.jsonl": paradigm("first", 500)})
    content = bytearray(path.read_bytes())
    content[200] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(HarnessError, match=r"cannot read .*pairs\.zip"):
        load_blimp(str(path), 0)


def test_without_the_hub_it_is_unavailable_and_says_what_to_give_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import datasets.config

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    with pytest.raises(UnavailableError, match=r"name a folder or a \.zip") as raised:
        load_blimp("hub", 10)
    assert "\n" not in str(raised.value)
