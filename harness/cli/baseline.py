"""``harness baseline``: runs kept under a name, to hold later runs against."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from harness.cli.options import DEFAULT_RUNS, RunsDir
from harness.errors import HarnessError

DEFAULT_BASELINES = Path("baselines")

BaselinesDir = Annotated[Path, typer.Option("--baselines-dir", help="where baselines are kept")]
Json = Annotated[bool, typer.Option("--json", help="machine output")]

app = typer.Typer(help="Save, list or show baselines: runs kept under a name.", no_args_is_help=True)


@app.command()
def save(
    name: Annotated[str, typer.Argument(help="letters, digits, '.', '_' and '-'")],
    run: Annotated[str, typer.Argument(help="a run's folder or name, or 'latest'")] = "latest",
    force: Annotated[bool, typer.Option("--force", help="replace a baseline of that name")] = False,
    runs_dir: RunsDir = DEFAULT_RUNS,
    baselines_dir: BaselinesDir = DEFAULT_BASELINES,
) -> None:
    """Keep a run as NAME, in one file that can be committed."""
    from harness.records.baselines import save_baseline
    from harness.records.run_folder import find_run

    found = find_run(run, runs_dir.expanduser())
    path = save_baseline(found, name, baselines_dir.expanduser(), overwrite=force)
    print(f"baseline {name}: {path}, of run {found.name}", file=sys.stderr)


@app.command("list")
def list_baselines(baselines_dir: BaselinesDir = DEFAULT_BASELINES, json_output: Json = False) -> None:
    """Baselines in a folder; damaged ones are named on stderr."""
    from harness.records.baselines import baseline_files, open_baseline

    lines: list[dict[str, Any]] = []
    for path in baseline_files(baselines_dir.expanduser()):
        try:
            found = open_baseline(path)
        except HarnessError as error:
            print(f"harness: {error}", file=sys.stderr)
            continue
        suite = str(found.info.get("suite_name"))
        lines.append({"baseline": path.stem, "run": found.run, "suite": suite, "saved": found.saved})
    if json_output:
        typer.echo(json.dumps(lines, indent=1, ensure_ascii=False))
    elif not lines:
        print(f"no baselines in {baselines_dir}; save one with: harness baseline save NAME", file=sys.stderr)
    else:
        table = Table(*lines[0], box=None, header_style="bold", pad_edge=False)
        for line in lines:
            table.add_row(*line.values())
        Console(width=None if sys.stdout.isatty() else 160).print(table, markup=False, highlight=False)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="a baseline's name, or the path of its .json")],
    baselines_dir: BaselinesDir = DEFAULT_BASELINES,
    json_output: Json = False,
) -> None:
    """What a baseline holds: its run, its machine and its variants."""
    from harness.records.baselines import SUFFIX, baseline_path, open_baseline
    from harness.records.damage import told_as_damage
    from harness.records.rows import make_rows
    from harness.reporting.exports import rows_json
    from harness.reporting.sections import comparison_table, environment_lines

    path = Path(name).expanduser() if name.endswith(SUFFIX) else baseline_path(name, baselines_dir.expanduser())
    found = open_baseline(path)
    with told_as_damage(found.name):
        rows = make_rows(found.records())
        if json_output:
            body = {"name": found.name, "run": found.run, "saved": found.saved, "info": found.info}
            typer.echo(json.dumps({**body, "rows": json.loads(rows_json(rows))}, indent=1, ensure_ascii=False))
            return
        typer.echo(f"Baseline `{found.name}` of run `{found.run}`, saved {found.saved}.\n")
        typer.echo("\n".join(f"- {line}" for line in environment_lines(found.info.get("environment", {}))))
        if table := comparison_table(rows):
            typer.echo(f"\n{table.markdown()}")
