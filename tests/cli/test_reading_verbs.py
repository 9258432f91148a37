from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version

import pytest

HEAVY = ("torch", "transformers", "onnxruntime", "datasets", "pandas", "scipy")


@pytest.mark.parametrize("line", ["--help", "run --help", "list engines", "list metrics", "list runs", "report x"])
def test_nothing_on_the_reading_side_imports_an_engine(workplace, line: str):
    code = f"""
import sys
from harness.cli import main
sys.argv = ["harness", *{line.split()!r}]
try:
    main()
except SystemExit:
    print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    finished = subprocess.run([sys.executable, "-c", code], cwd=workplace, capture_output=True, text=True, check=True)
    assert finished.stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize("what", ["suite", "candidate", "engine", "corpus", "metric"])
def test_lists_come_as_tables_and_as_json(harness, what: str):
    plural = "corpora" if what == "corpus" else f"{what}s"
    names = [line[what] for line in json.loads(harness("list", plural, "--json").stdout)]
    table = harness("list", plural).stdout
    assert names
    assert [name for name in names if name not in table] == []


def test_help_names_every_verb(harness):
    text = harness("--help").stdout
    assert all(verb in text for verb in ("run", "report", "list", "generate"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--suite", "cpus"], "no suite 'cpus' (did you mean 'cpu'?)"),
        (["run", "--suite", "missing.toml"], "cannot read suite missing.toml"),
        (["run", "--suite", "tiny.toml", "--set", "rouns=3"], "unknown key 'rouns' (did you mean 'rounds'?)"),
        (["run", "--suite", "tiny.toml", "--set", "rounds=many"], "rounds: input should be a valid integer"),
        (["run", "--suite", "tiny.toml", "--only", "bert*"], "the pattern 'bert*' matches no variant"),
        (["run", "--suite", "tiny.toml", "--corpus", "text:nowhere"], "there is no nowhere"),
        (["run", "--suite", "tiny.toml", "--corpus", "sotuu"], "unknown corpus 'sotuu'"),
        (["report", "nothing"], "no run 'nothing'"),
        (["generate", "gpt2-mni", "Hello"], "unknown candidate 'gpt2-mni' (did you mean 'gpt2-mini'?)"),
        (["generate", "gpt2-mini", "Hello", "--engine", "torhc"], "unknown engine 'torhc' (did you mean 'torch'?)"),
        (["generate", "gpt2-mini", "Hello", "--precision", "int3"], "engine 'torch' has fp32, bf16"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_2(harness, arguments, message):
    finished = harness(*arguments)
    assert finished.returncode == 2
    assert message in finished.stderr
    assert len(finished.stderr.strip().splitlines()) == 1
    assert finished.stdout == ""


def test_debug_shows_the_traceback(harness):
    finished = harness("--debug", "report", "nothing")
    assert finished.returncode != 0
    assert "Traceback" in finished.stderr


def test_the_version_is_that_of_the_installed_package(harness):
    finished = harness("--version")
    assert (finished.returncode, finished.stdout.strip()) == (0, version("harness"))
