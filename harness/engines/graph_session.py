"""What sessions share that run exported graphs, whichever runtime loads these."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from harness.engines.base import Ids, Logits, SessionFacts, longest_input
from harness.engines.onnx_weights import read_weights
from harness.errors import HarnessError


class GraphSession:
    """The configuration and the facts of a prepared folder; a family's session defines the methods that it has."""

    def __init__(self, folder: Path, family: str, device: str) -> None:
        self._config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self._facts = SessionFacts(
            family=family,
            vocabulary_size=self._config["vocab_size"],
            weights=read_weights(folder),
            device=device,
            positions=longest_input(self._config, family),
        )

    @property
    def facts(self) -> SessionFacts:
        """See :class:`harness.engines.base.Session`."""
        return self._facts

    def score(self, ids: Ids, read: Ids, decoder_ids: Ids | None = None) -> Iterator[Logits]:
        """See :class:`harness.engines.base.Session`."""
        raise self._refuse("score")

    def prefill(self, ids: Ids, room: int) -> Logits:
        """See :class:`harness.engines.base.Session`."""
        raise self._refuse("prefill")

    def step(self, token: int) -> Logits:
        """See :class:`harness.engines.base.Session`."""
        raise self._refuse("step")

    def encode(self, ids: Ids) -> None:
        """See :class:`harness.engines.base.Session`."""
        raise self._refuse("encode")

    def _refuse(self, method: str) -> HarnessError:
        return HarnessError(f"{method} is not defined for {self._facts.family} models")
