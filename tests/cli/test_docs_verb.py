from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stored_runs import INFO, QUIET, a_variant, failed
from typer.testing import CliRunner

from harness.cli.docs import docs
from harness.errors import HarnessError
from harness.records.baselines import save_baseline
from harness.records.run_folder import create_run

app = typer.Typer()
app.command()(docs)


def harness(*arguments: object):
    found = CliRunner().invoke(app, [str(each) for each in arguments])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


def refused(*arguments: object) -> str:
    with pytest.raises(HarnessError) as caught:
        harness(*arguments)
    assert caught.value.exit_code == 2
    line = str(caught.value)
    assert "\n" not in line
    return line


def block(name: str = "a", run: str = "base.json", asks: str = "columns=variant,decode", body: str = "") -> str:
    return f"<!-- harness:table name={name} run={run} {asks} -->\n{body}<!-- harness:end name={name} -->\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run in ``runs``, kept as ``docs/base.json``, and ``docs/page.md`` with a table of it."""
    monkeypatch.chdir(tmp_path)
    run = create_run(Path("runs"), "mine", "identity-1", dict(INFO))
    fast = a_variant("fast/torch/fp32/cpu", rounds={"decode_tokens_per_second": [each * 2 for each in QUIET]})
    run.store.append([*a_variant(rounds={"decode_tokens_per_second": QUIET}), *fast, *failed("b/torch/fp32/cpu")])
    save_baseline(run, "base", Path("docs"))
    Path("docs/page.md").write_bytes(f"# Title\n\n{block()}\nThe end".encode())
    return run


@pytest.fixture
def page(run) -> Path:
    return Path("docs/page.md")


def test_a_table_is_made_between_its_markers(page):
    assert harness(page).stderr == "docs/page.md: 1 of 1 tables made again\n"
    before, table, after = re.split(r"\n\n(?=\|)|\n\n(?=<!-- harness:end)", page.read_text())
    assert before == f"# Title\n\n{block().splitlines()[0]}"
    assert "| `fast/torch/fp32/cpu` |" in table
    assert re.fullmatch(r"<!-- harness:end name=a sha256=[0-9a-f]{16} -->\n\nThe end", after)


def test_a_second_time_changes_nothing(page):
    harness(page)
    before = page.read_bytes(), page.stat().st_mtime_ns, page.stat().st_ino
    assert harness(page).stderr == "docs/page.md: 0 of 1 tables made again\n"
    assert (page.read_bytes(), page.stat().st_mtime_ns, page.stat().st_ino) == before


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_a_byte_order_mark_and_a_missing_last_line_end_stay(page, newline, mark):
    page.write_bytes(mark + page.read_bytes().replace(b"\n", newline))
    harness(page)
    made = page.read_bytes()
    assert made.startswith(mark + b"# Title" + newline)
    assert made.endswith(newline * 2 + b"The end")
    assert made.count(b"\n") == made.count(newline) > 8
    assert harness("--check", page).exit_code == 0


def test_check_passes_on_what_was_just_made_and_writes_nothing(page):
    harness(page)
    made = page.read_bytes()
    found = harness("--check", page)
    assert (found.exit_code, found.stdout, page.read_bytes()) == (0, "", made)


def test_check_fails_with_a_difference_that_can_be_applied(page):
    old = page.read_bytes()
    found = harness("--check", page)
    assert found.exit_code == 1
    assert "harness: docs/page.md:3: table 'a' is stale" in found.stderr
    assert page.read_bytes() == old
    subprocess.run(["git", "apply", "-p0"], input=found.stdout, text=True, check=True, capture_output=True)
    assert harness("--check", page).exit_code == 0


def test_a_table_is_stale_when_the_run_has_changed(run, page):
    page.write_text(block(run=f"../runs/{run.name}"))
    harness(page)
    assert harness("--check", page).exit_code == 0
    run.store.append(a_variant("new/torch/fp32/cpu", rounds={"decode_tokens_per_second": QUIET}))
    found = harness("--check", page)
    assert found.exit_code == 1
    assert "+| `new/torch/fp32/cpu`" in found.stdout
    assert harness(page).exit_code == 0
    assert "new/torch/fp32/cpu" in page.read_text()


def test_what_was_edited_by_hand_is_kept_unless_forced(page):
    harness(page)
    made = page.read_text()
    page.write_text(made.replace("| `fast", "| my `fast"))
    assert "docs/page.md:3: table 'a' was edited by hand; --check shows" in refused(page)
    assert "my `fast" in page.read_text()
    found = harness("--check", page)
    assert (found.exit_code, "-| my `fast" in found.stdout) == (1, True)
    assert "table 'a' was edited by hand" in found.stderr
    assert harness("--force", page).exit_code == 0
    assert page.read_text() == made


def test_text_that_was_never_made_here_is_kept_unless_forced(page):
    page.write_text(block(body="\nmine\n\n"))
    assert "was edited by hand" in refused(page)
    harness("--force", page)
    assert "mine" not in page.read_text()


def test_a_table_that_is_right_is_not_edited_whatever_its_checksum_says(page):
    harness(page)
    made = page.read_text()
    page.write_text(re.sub(" sha256=[0-9a-f]*", "", made))
    assert harness("--check", page).exit_code == 1
    harness(page)
    assert page.read_text() == made


def test_one_bad_file_and_none_is_changed(page):
    good = page.read_bytes()
    for name, text in {"bad.md": block(asks="columns=decod"), "edited.md": block(body="mine\n")}.items():
        bad = page.with_name(name)
        bad.write_text(text)
        refused(page, bad)
        refused(bad, page)
        assert (page.read_bytes(), bad.read_text()) == (good, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no tables\n", "docs/page.md has no table to make"),
        ("x\n" + block(asks="columns=decod"), "docs/page.md:2: unknown column or metric 'decod' (did you mean"),
        (block(asks="rows=x*"), "docs/page.md:1: the pattern 'x*' matches no variant; there are mini/torch/fp32/cpu"),
        (block(run="none.json"), "docs/page.md:1: no run or baseline docs/none.json, no run in runs, no baseline"),
        (block(run="../none"), "docs/page.md:1: there is neither a run nor a baseline in docs/../none"),
        (block(run="latest"), "docs/page.md:1: 'latest' is another run tomorrow"),
        (block(run="page.md"), "docs/page.md:1: docs/page.md is damaged"),
        (block(run="/dev/zero"), "docs/page.md:1: there is neither a run nor a baseline in /dev/zero"),
        (block(run=".."), "docs/page.md:1: there is neither a run nor a baseline in docs/.."),
        (block(run="x" * 5000), "docs/page.md:1: no run or baseline"),
        (block(asks="table=recommendation"), "docs/page.md:1: run 'base' has nothing to show in table=recommendation"),
        (block() + block(), "docs/page.md:3: there is a table 'a' already"),
    ],
)
@pytest.mark.parametrize("option", ["--check", "--force"])
def test_what_is_wrong_is_said_in_a_line_with_file_and_line(page, option, text, message):
    page.write_text(text)
    assert refused(option, page).startswith(message)
    assert page.read_text() == text


@pytest.mark.parametrize("damage", ["{", '{"schema_version": 1, "records": [1]}', "[]", ""])
def test_a_damaged_baseline_is_named(page, damage):
    Path("docs/base.json").write_text(damage)
    assert refused(page).startswith("docs/page.md:3: docs/base.json ")


def test_a_run_of_another_kind_of_data_is_no_traceback(page):
    body = json.loads(Path("docs/base.json").read_text())
    body["info"]["suite"]["use_case"] = [{"title": 3}]
    Path("docs/base.json").write_text(json.dumps(body))
    page.write_text(block(asks="table=recommendation"))
    assert "docs/page.md:1: the run is damaged, or of another version of harness (KeyError" in refused(page)


def test_a_run_may_be_called_by_its_name(run, page):
    page.write_text(block(run=run.name))
    harness(page, "--runs-dir", "runs")
    assert "`fast/torch/fp32/cpu`" in page.read_text()


def test_a_baseline_may_be_called_by_its_name_unless_a_run_has_the_same(run, page):
    page.write_text(block(run="kept"))
    save_baseline(run, "kept", Path("baselines"))
    harness(page)
    assert "`fast/torch/fp32/cpu`" in page.read_text()
    Path("runs/kept").mkdir()
    Path("runs/kept/run.json").write_text("{}")
    assert "'kept' is a run and a baseline; say which by its path" in refused(page)


def test_a_run_that_several_tables_name_is_read_once(run, page, monkeypatch):
    opened = []
    was = Path.read_text

    def read(path: Path, *arguments: object, **named: object) -> str:
        opened.append(path.name)
        return was(path, *arguments, **named)

    page.write_text(block() + block("b", "../docs/base.json"))
    Path("other.md").write_text(block(run="docs/base.json"))
    monkeypatch.setattr(Path, "read_text", read)
    harness(page, "other.md")
    assert opened.count("base.json") == 1


def test_only_the_files_that_are_named_are_written(page):
    Path("docs/other.md").write_text(block())
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    harness(page)
    after = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    assert {path for path in before | after if before.get(path) != after.get(path)} == {page}


def test_a_pipe_in_place_of_a_run_is_not_waited_for(page):
    os.mkfifo("docs/pipe")
    page.write_text(block(run="pipe"))
    assert "no run or baseline docs/pipe" in refused(page)


def test_making_tables_imports_no_engine(page):
    heavy = ("torch", "transformers", "onnxruntime", "datasets", "pandas", "matplotlib")
    code = f"""
import sys, typer
from harness.cli.docs import docs
app = typer.Typer()
app.command()(docs)
app(["docs/page.md"], standalone_mode=False)
print([name for name in {heavy!r} if name in sys.modules])
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout == "[]\n"


SETTINGS = [
    "name=a", "name=b", "run=base.json", "run=..", "run=latest", "run=", "table=speed", "table=claims", "table=x",
    "columns=variant,decode", "columns=decode,load", "rows=fast*", "rows=!*", "rows='['", "sort=-decode", "sort=load",
    "limit=1", "limit=-1", "case=x", "lang=fr", "lang=de", "intervals=no", "sha256=0", '"', "=", "x=y",
]  # fmt: skip


@given(st.lists(st.sampled_from(SETTINGS), max_size=6), st.sampled_from(["", "mine\n", "```\n", "\n"]))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_marker_asks_for_is_made_twice_alike_or_refused(page, asked, body):
    text = f"before\n\n<!-- harness:table {' '.join(['name=a run=base.json', *asked])} -->\n{body}"
    text += "<!-- harness:end name=a -->\n\nafter"
    page.write_text(text)
    try:
        harness("--force", page)
    except HarnessError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017
        assert page.read_text() == text
        return
    made = page.read_bytes()
    assert made.startswith(b"before\n\n<!--")
    assert made.endswith(b" -->\n\nafter")
    harness(page)
    assert page.read_bytes() == made
