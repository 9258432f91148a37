"""``harness ab``: measures two revisions of a project interleaved on one machine, and gives the verdict."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from harness.ab.blocks import Arm
from harness.ab.checkouts import Checkout, base_checkout, set_up, top_folder, working_tree
from harness.ab.schedule import Ledger, Schedule
from harness.ab.side import Side
from harness.errors import HarnessError
from harness.execution.environment import worker_environment
from harness.execution.interrupts import Interrupts
from harness.records.blocks import AGAIN, BASE, NEW, Block
from harness.records.environment import available_cores
from harness.records.privacy import all_without_private
from harness.records.run_folder import RunFolder, fresh_folder, open_run, write_whole
from harness.selection.looks import Looks, usable
from harness.selection.regressions import Change, Verdicts, compare_runs
from harness.selection.stored_rounds import not_compared
from harness.selection.thresholds import rule_of
from harness.speed.timing import Timing
from harness.stats.intervals import median
from harness.suites.loader import load_suite, shipped_suites

AB_FILE = "ab.json"


@dataclass(frozen=True)
class AbRequest:
    """What the user asked for. ``project`` lies in a git checkout; ``minutes`` bound the timing of blocks."""

    base: str
    project: Path
    suite: str
    settings: tuple[str, ...]
    only: tuple[str, ...]
    skip: tuple[str, ...]
    local: tuple[str, ...]
    thresholds: Mapping[str, float]
    minutes: float
    setup: str
    offline: bool
    runs_dir: Path
    cache_dir: Path
    command: str


Says = Callable[[str], None]
"""Hears in words what is being done."""


@dataclass(frozen=True)
class Comparison:
    """What came of it: a folder with both runs and all blocks, the verdicts, and how long all of it took."""

    folder: Path
    runs: Mapping[str, RunFolder]
    checkouts: Mapping[str, Checkout]
    blocks: Sequence[Block]
    verdicts: Verdicts
    seconds: float

    def about(self) -> list[str]:
        """Sentences on what was compared, and how."""
        counts = {sum(other.variant == each.variant for other in self.blocks) for each in self.blocks}
        used = " to ".join(str(count) for count in sorted({min(counts), max(counts)})) if counts else "no"
        disturbed = sum(bool(block.disturbed) for block in self.blocks)
        base, new = (self.checkouts[name].revision for name in (BASE, NEW))
        return [
            f"Base is {base}, new is {new}.",
            f"Both were measured side by side on this machine, interleaved, in {self.seconds / 60:.1f} minutes: "
            f"{used} blocks a variant, {disturbed} blocks disturbed and not used.",
        ]


def compare_revisions(request: AbRequest, says: Says) -> Comparison:
    """Prepare and score both revisions, then measure blocks until every metric is decided or the time is up.

    Raises HarnessError where a revision, the suite or a side cannot be used. KeyboardInterrupt ends both sides.
    """
    began = time.monotonic()
    named = load_suite(request.suite, request.settings)
    thresholds = {**named.suite.thresholds, **request.thresholds}
    os.environ.update(worker_environment(named.suite.threads or available_cores(), request.offline))
    with ExitStack() as stack, Interrupts():
        checkouts = _checkouts(request, stack)
        says(" and ".join(f"{name} is {checkout.revision}" for name, checkout in checkouts.items()))
        folder = fresh_folder(request.runs_dir, f"ab-{named.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}")
        _write(folder, request, checkouts)
        sides = {name: stack.enter_context(Side(name, checkout)) for name, checkout in checkouts.items()}
        runs = {name: _prepare(side, request, folder) for name, side in sides.items()}
        arms = (Arm(BASE, sides[BASE]), Arm(AGAIN, sides[BASE]), Arm(NEW, sides[NEW]))
        schedule = Schedule(
            arms, Timing(**named.suite.timing.model_dump()), Ledger(folder, runs), named.suite.seed, says
        )
        looks = Looks(thresholds)
        variants = [variant for variant in sides[NEW].variants if variant in sides[BASE].variants]
        schedule.run(variants, looks, request.minutes * 60)
    timings = _changes(looks, schedule.blocks) | _unmeasured(
        runs[NEW], variants, looks, schedule.blocks, schedule.failed
    )
    verdicts = compare_runs(runs[BASE], runs[NEW], thresholds, timings=timings)
    seconds = time.monotonic() - began
    where = {name: str(run.path.relative_to(folder.absolute())) for name, run in runs.items()}
    _write(folder, request, checkouts, runs=where, seconds=round(seconds, 1), overall=verdicts.overall)
    return Comparison(folder, runs, checkouts, schedule.blocks, verdicts, seconds)


def _checkouts(request: AbRequest, stack: ExitStack) -> dict[str, Checkout]:
    """Both revisions, each at the folder within the checkout that the project is, and set up as the user asked."""
    project = request.project.resolve()
    top = top_folder(project)
    below = project.relative_to(top.resolve())
    found = {BASE: stack.enter_context(base_checkout(top, request.base)), NEW: working_tree(top)}
    for name, checkout in found.items():
        folder = checkout.folder / below
        if not folder.is_dir():
            raise HarnessError(f"{name} ({checkout.revision}) has no folder {below}")
        found[name] = set_up(replace(checkout, folder=folder), request.setup)
    return found


def _prepare(side: Side, request: AbRequest, folder: Path) -> RunFolder:
    """Let a side prepare and score its variants, as a run in the folder of the comparison."""
    try:
        answer = side.ask(
            "prepare",
            name=side.name,
            suite=_suite_path(request.suite),
            settings=request.settings,
            only=request.only,
            skip=request.skip,
            local=[_absolute_folder(each) for each in request.local],
            offline=request.offline,
            runs_dir=str((folder / side.name).absolute()),
            cache_dir=str(request.cache_dir),
            command=request.command,
        )
    except HarnessError as error:
        raise HarnessError(f"{side}: {error}") from error
    side.variants = tuple(answer["variants"])
    return open_run(Path(answer["run"]))


def _suite_path(suite: str) -> str:
    """Both sides read the same suite: the one that the driver sees."""
    return str(shipped_suites().get(suite, Path(suite).expanduser()).absolute())


def _absolute_folder(local: str) -> str:
    """``NAME=FOLDER`` with a folder that means the same in every checkout."""
    name, equals, folder = local.partition("=")
    return f"{name}{equals}{Path(folder).expanduser().absolute()}" if folder else local


def _changes(looks: Looks, blocks: Sequence[Block]) -> dict[tuple[str, str], Change]:
    """Every judgement with the medians that its metric had in the arms."""
    found = {}
    for (variant, metric), judgement in looks.judgements.items():
        mine = usable(blocks, variant)[: judgement.ratio.n]
        base, new = (median([block.arms[arm][metric] for block in mine]) for arm in (BASE, NEW))
        found[variant, metric] = Change(variant, metric, base, new, judgement)
    return found


def _unmeasured(
    new: RunFolder,
    variants: Sequence[str],
    looks: Looks,
    blocks: Sequence[Block],
    failed: Mapping[str, str] = MappingProxyType({}),
) -> dict[tuple[str, str], Change]:
    """An undecided change of the main speed of every variant without a usable block: silence must not pass."""
    families = {record.subject.variant: record.subject.family for record in new.records()}
    found = {}
    judged = {name for name, _ in looks.judgements}
    for variant in (each for each in variants if each not in judged):
        disturbed = [reason for block in blocks if block.variant == variant for reason in block.disturbed]
        reason = f"every block was disturbed: {disturbed[-1]}" if disturbed else "no block was measured in the time"
        reason = failed.get(variant, reason)
        metric = f"{'encode' if families[variant] == 'masked' else 'decode'}_tokens_per_second"
        judgement = not_compared(None, None, rule_of(metric, {}), reason)
        found[variant, metric] = Change(variant, metric, None, None, judgement)
    return found


def _write(folder: Path, request: AbRequest, checkouts: Mapping[str, Checkout], **more: Any) -> None:
    """``ab.json``: what was asked for, which revisions, and, once it is over, how it ended."""
    about = {
        "schema_version": 1,
        "command": request.command,
        "suite": request.suite,
        "revisions": {name: checkout.revision for name, checkout in checkouts.items()},
        "minutes": request.minutes,
        **more,
    }
    write_whole(folder / AB_FILE, json.dumps(all_without_private(about), indent=1, ensure_ascii=False))
