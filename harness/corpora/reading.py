"""Reading text from files that a user named."""

from __future__ import annotations

from pathlib import Path

from harness.errors import HarnessError


def read_text(path: Path) -> str:
    """A file as UTF-8 text. Raises HarnessError that names the file, and the byte where it is not UTF-8."""
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise HarnessError(f"{path} is not UTF-8 text: byte {error.start} is 0x{error.object[error.start]:02x}") from (
            error
        )
    except OSError as error:
        raise HarnessError(f"cannot read {path}: {error.strerror or error}") from error
