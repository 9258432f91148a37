"""Entry point of ``python -m harness`` and of the console script ``harness``."""

import sys


def main() -> None:
    """Run the command line. Ctrl-C while it is still being imported ends in one line, as later."""
    try:
        from harness.cli import main as command_line

        command_line()
    except KeyboardInterrupt:
        print("harness: interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
