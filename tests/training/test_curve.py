from __future__ import annotations

import math

import pytest

from harness.errors import HarnessError
from harness.training.curve import CurveWatch, TrainingRun, conclusions


def watched(steps: int = 10, evaluations: int = 2, said: list | None = None) -> CurveWatch:
    run = TrainingRun(parameters=1, tokens=steps * 100, epoch_tokens=500, initialised_from="", unigram_loss=7.0)
    return CurveWatch(
        run, steps, 100, evaluations, lambda share, word: said.append((share, word)) if said is not None else None
    )


def entry(loss: float, training: float | None = None, tokens: int = 100) -> dict[str, float]:
    return {"tokens": tokens, "loss": loss, **({"training_loss": training} if training is not None else {})}


def test_validations_are_at_even_distances_and_after_the_last_step():
    watch = watched(steps=10, evaluations=3)
    assert [step for step in range(1, 11) if watch.due(step)] == [3, 7, 10]


def test_a_validation_knows_its_epoch_and_the_training_loss_since_the_one_before():
    watch = watched()
    for step, loss in ((1, 6.0), (2, 4.0)):
        watch.logged(step, {"loss": loss})
    watch.validated(2, 5.5)
    watch.logged(5, {"loss": 3.0})
    watch.validated(5, 5.0)
    first, second = watch.run.validation
    assert first == {"tokens": 200, "epoch": 0.4, "loss": 5.5, "training_loss": 5.0}
    assert second == {"tokens": 500, "epoch": 1.0, "loss": 5.0, "training_loss": 3.0}


def test_progress_tells_share_loss_and_speed():
    said: list = []
    watched(said=said).logged(5, {"loss": 3.0})
    ((share, word),) = said
    assert share == 0.5
    assert word.startswith("loss 3.000, ")
    assert word.endswith(" tokens/s")


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_the_run(loss):
    with pytest.raises(HarnessError, match="diverged at step 3: the loss is"):
        watched().logged(3, {"loss": loss})


def test_a_loss_far_above_what_it_was_stops_the_run():
    watch = watched()
    watch.logged(1, {"loss": 4.0})
    watch.logged(2, {"loss": 6.0})
    with pytest.raises(HarnessError, match=r"rose from 4\.00 to 6\.10"):
        watch.logged(3, {"loss": 6.1})


def test_a_curve_is_restored_to_where_it_was():
    watch, again = watched(), watched()
    watch.logged(1, {"loss": 4.0})
    watch.validated(1, 4.5)
    again.restore(watch.state())
    assert again.run == watch.run


def test_a_model_on_the_plateau_is_said_to_be_there():
    (words, *_) = conclusions({"unigram_loss": 7.0, "validation": [entry(7.2), entry(6.95)]})
    assert words == "It never left the plateau of word frequencies, which have a validation perplexity of 1,097."


def test_it_is_said_when_the_plateau_was_left():
    (words, *_) = conclusions({"unigram_loss": 7.0, "validation": [entry(7.2), entry(6.8, tokens=2000), entry(6.0)]})
    assert words.startswith("By 2,000 tokens it left the plateau")


def test_overfitting_is_a_validation_loss_that_rises_while_the_training_loss_falls():
    curve = [entry(6.0, 6.1, 100), entry(5.0, 4.8, 200), entry(5.3, 4.0, 300)]
    words = conclusions({"unigram_loss": 7.0, "validation": curve})[-1]
    assert words.startswith("It overfits: the validation loss was lowest after 200 tokens and rose by 0.30")
    assert words.endswith("the training loss fell by 0.80.")


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (entry(4.9, 4.0), "It does not overfit: the validation loss is lowest at the end."),
        (entry(5.3, 5.2), "The validation loss rose by 0.30 since its lowest, but so did the training loss"),
    ],
    ids=["still falling", "both rise"],
)
def test_anything_else_is_no_overfitting(last, said):
    words = conclusions({"unigram_loss": 7.0, "validation": [entry(6.0, 6.1), entry(5.0, 4.8), last]})[-1]
    assert words.startswith(said)


def test_without_a_validation_there_is_nothing_to_say():
    assert conclusions({"unigram_loss": 7.0, "validation": []}) == []
