"""The curve of a training run in an experiment tracker: TensorBoard, Weights & Biases and others of accelerate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, nearest


def check_tracker(tracker: str) -> None:
    """Raises HarnessError where accelerate knows no such tracker, or its package is not installed."""
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

    known = sorted(LOGGER_TYPE_TO_CLASS)
    if tracker not in known:
        raise HarnessError(f"--report-to: unknown tracker '{tracker}'{nearest(tracker, known)}")
    if tracker not in {str(each) for each in get_available_trackers()}:
        raise HarnessError(f"--report-to {tracker}: its package is not installed")


def send_curve(run: Mapping[str, Any], name: str, settings: Mapping[str, Any], tracker: str, folder: Path) -> None:
    """Send a whole curve, by steps, to a tracker as the run ``name``, with ``settings`` as its hyperparameters.

    ``run`` is a TrainingRun as plain values. Trackers that write files do so under ``folder``. Raises HarnessError with
    what the tracker says where it cannot take it.
    """
    import torch
    from accelerate import Accelerator

    scalars = {key: value for key, value in settings.items() if isinstance(value, (bool, int, float, str))}
    try:
        accelerator = Accelerator(cpu=not torch.cuda.is_available(), log_with=tracker, project_dir=folder)
        accelerator.init_trackers(name, config=scalars)
        for step, values in _by_step(run):
            accelerator.log(values, step=step)
        for each in accelerator.trackers:
            each.finish()
    except Exception as error:  # each tracker has errors of its own
        raise HarnessError(f"--report-to {tracker}: {' '.join(str(error).split())}") from error


def _by_step(run: Mapping[str, Any]) -> list[tuple[int, dict[str, float]]]:
    """What was logged and validated, in the order of steps: some trackers take no step that is past."""
    found: dict[int, dict[str, float]] = {}
    for entry in run["steps"]:
        values = {f"train/{key}": value for key, value in entry.items() if key not in ("step", "tokens")}
        found[int(entry["step"])] = values
    step_tokens = run["steps"][0]["tokens"] / run["steps"][0]["step"]
    for entry in run["validation"]:
        found.setdefault(round(entry["tokens"] / step_tokens), {})["validation/loss"] = entry["loss"]
    return sorted(found.items())
