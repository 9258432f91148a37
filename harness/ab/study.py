"""Blocks for the study of error rates: base against itself, and against itself made slower by known shares."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.ab.blocks import Arm, ArmError, measure_block
from harness.ab.checkouts import Checkout
from harness.ab.side import Side
from harness.errors import HarnessError
from harness.execution.environment import worker_environment
from harness.execution.interrupts import Interrupts
from harness.records.blocks import AGAIN, BASE, BlockStore
from harness.records.environment import available_cores, snapshot
from harness.records.privacy import without_private
from harness.records.run_folder import fresh_folder, write_whole
from harness.selection.error_rates import SAME, SLOWER, Study
from harness.speed.timing import Timing
from harness.suites.loader import load_suite

STUDY_FILE = "study.json"


@dataclass(frozen=True)
class StudyRequest:
    """What the user asked for: a variant of a suite, and how many blocks at most in how many minutes."""

    suite: str
    variant: str
    settings: tuple[str, ...]
    blocks: int
    minutes: float
    runs_dir: Path
    cache_dir: Path
    command: str


def measure_study(request: StudyRequest, says: Callable[[str], None]) -> Path:
    """Measure blocks of seven workers each; the folder that they are in. Ctrl-C ends early and keeps what is there.

    Raises HarnessError where the variant cannot be prepared or a worker fails.
    """
    named = load_suite(request.suite, request.settings)
    os.environ.update(worker_environment(named.suite.threads or available_cores(), offline=False))
    folder = fresh_folder(request.runs_dir, f"study-{named.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    write_whole(folder / STUDY_FILE, json.dumps(_about(request, named.suite.threads), indent=1, ensure_ascii=False))
    store, order = BlockStore(folder), random.Random(named.suite.seed)
    timing, until = Timing(**named.suite.timing.model_dump()), time.monotonic() + request.minutes * 60
    with ExitStack() as stack, Interrupts():
        side = stack.enter_context(Side("study", Checkout("this", Path.cwd())))
        answer = side.ask(
            "prepare",
            name="study",
            suite=request.suite,
            settings=request.settings,
            only=(request.variant,),
            skip=(),
            local=(),
            offline=False,
            runs_dir=str((folder / "run").absolute()),
            cache_dir=str(request.cache_dir),
            command=request.command,
        )
        if len(answer["variants"]) != 1:
            raise HarnessError(f"--variant {request.variant}: expected one variant, found {answer['variants']}")
        (variant,) = answer["variants"]
        arms = [Arm(name, side, 0.0) for name in (BASE, AGAIN, SAME)]
        arms += [Arm(name, side, share) for name, share in SLOWER.items()]
        try:
            for number in range(request.blocks):
                if time.monotonic() > until:
                    break
                block = measure_block(variant, number, arms, timing, order)
                store.append(block)
                says(f"block {number + 1} of {request.blocks}, {block.seconds:.1f} s")
        except KeyboardInterrupt:
            says("interrupted; what is measured is kept")
        except ArmError as error:
            says(f"ended early, what is measured is kept: {error}")
    return folder


def read_study(folder: Path) -> Study:
    """A study that was measured. Raises HarnessError where the folder holds none."""
    try:
        about = json.loads((folder / STUDY_FILE).read_text(encoding="utf-8"))
        return Study(BlockStore(folder).read(), about["environment"], about["command"])
    except OSError as error:
        raise HarnessError(f"{folder} holds no study: {STUDY_FILE}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise HarnessError(f"{folder} holds no study: {STUDY_FILE} is damaged: {error}") from error


def _about(request: StudyRequest, threads: int | None) -> dict[str, Any]:
    environment = snapshot(threads or available_cores()).as_dict()
    return {"schema_version": 1, "command": without_private(request.command), "environment": environment}
