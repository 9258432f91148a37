from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.slow


def test_verify_marks_as_not_run_what_cannot_be_had(harness):
    done = harness("verify", "gpt2-paper", "bert-hello-world", "--offline", "--json")
    assert done.returncode == 0, done.stderr
    findings = {finding["reference"]: finding for finding in json.loads(done.stdout)}
    assert {finding["status"] for finding in findings.values()} == {"not run"}
    assert "google-bert/bert-base-cased" in findings["bert-hello-world"]["reason"]


def test_verify_ends_with_4_where_a_number_differs(harness, workplace):
    folder = workplace / "wikitext"
    folder.mkdir()
    for split in ("train", "valid", "test"):
        (folder / f"wiki.{split}.raw").write_text(" = Roads = \n \n A road . \n", encoding="utf-8")
    done = harness("verify", "wikitext-2", "--wikitext", f"wikitext-2:{folder}", "--offline")
    assert done.returncode == 4
    assert "3 numbers differ" in done.stderr
    assert "| wikitext-2" in done.stdout
    assert "differs" in done.stdout


def test_an_unknown_reference_is_refused_with_a_hint(harness):
    done = harness("verify", "gpt2-papr")
    assert done.returncode == 2
    assert "no reference 'gpt2-papr' (did you mean 'gpt2-paper'?)" in done.stderr
