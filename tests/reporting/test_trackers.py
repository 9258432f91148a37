"""Curves in an experiment tracker."""

from __future__ import annotations

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from harness.errors import HarnessError
from harness.reporting.trackers import check_tracker, send_curve

RUN = {
    "steps": [
        {"step": 2, "tokens": 256, "loss": 5.5, "learning_rate": 1e-3, "grad_norm": 0.7, "tokens_per_second": 900.0},
        {"step": 4, "tokens": 512, "loss": 4.25, "learning_rate": 0.0, "grad_norm": 0.5, "tokens_per_second": 950.0},
    ],
    "validation": [{"tokens": 384, "epoch": 0.5, "loss": 5.0}, {"tokens": 512, "epoch": 1.0, "loss": 4.5}],
}


def test_tensorboard_reads_the_curve_back_by_steps(tmp_path):
    send_curve(RUN, "tiny-gpt2", {"learning_rate": 1e-3, "recipe": None, "optimizer": "muon"}, "tensorboard", tmp_path)
    events = EventAccumulator(str(tmp_path / "tiny-gpt2")).Reload()

    def read(name: str) -> list[tuple[int, float]]:
        return [(each.step, each.value) for each in events.Scalars(name)]

    assert read("train/loss") == [(2, 5.5), (4, 4.25)]
    assert read("train/tokens_per_second") == [(2, 900.0), (4, 950.0)]
    assert read("validation/loss") == [(3, 5.0), (4, 4.5)]
    (kept,) = (tmp_path / "tiny-gpt2").glob("*/hparams.yml")
    assert kept.read_text(encoding="utf-8") == "learning_rate: 0.001\noptimizer: muon\n"


@pytest.mark.parametrize(
    ("tracker", "problem"),
    [
        ("tensorbord", "unknown tracker 'tensorbord' (did you mean 'tensorboard'?)"),
        ("wandb", "--report-to wandb: its package is not installed"),
    ],
)
def test_a_tracker_that_is_not_there_is_named(tracker, problem, monkeypatch):
    monkeypatch.setattr("accelerate.tracking.is_wandb_available", lambda: False)
    with pytest.raises(HarnessError) as caught:
        check_tracker(tracker)
    assert problem in str(caught.value)
    check_tracker("tensorboard")


def test_what_a_tracker_says_is_one_line(tmp_path):
    (tmp_path / "logs").write_text("a file where a folder should be")
    with pytest.raises(HarnessError, match="--report-to tensorboard: ") as caught:
        send_curve(RUN, "tiny-gpt2", {}, "tensorboard", tmp_path / "logs")
    assert "\n" not in str(caught.value)
