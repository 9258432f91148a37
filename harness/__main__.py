"""Entry point of ``python -m harness`` and of the console script ``harness``."""

from harness.cli import main

if __name__ == "__main__":
    main()
