"""Builds the programs in Go that tests need, once: `python -m tests.parts`. A test would wait for minutes for one."""

import shutil

from tests.parts.go_program import find_go_program
from tests.parts.opa import find_opa


def main() -> None:
    """Builds what is not cached."""
    if shutil.which("go") is None:
        print("Go is not installed: tests against OPA and Tessera are skipped")  # noqa: T201 (a command's output)
        return
    print("building OPA and Tessera's reader where they are not cached: the first time takes minutes")  # noqa: T201
    find_opa()
    find_go_program("tessera")


if __name__ == "__main__":
    main()
