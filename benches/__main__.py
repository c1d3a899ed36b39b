"""`python -m benches NAME [--quick]`: measure, print a table, write `build/bench/NAME.json`."""

import argparse
import importlib
import os
import sys
from typing import Final

from rich.console import Console

from benches.harness.report import print_report, write_report

BENCHMARKS: Final = ("ingest", "envelope", "contract", "temporal", "start", "memory", "policy", "ledger")


def main() -> None:
    """Runs one benchmark. Only its own module is imported, for each has heavy peers of its own."""
    parser = argparse.ArgumentParser(
        prog="python -m benches", description="Measure the gateway beside its peers."
    )
    parser.add_argument("name", choices=BENCHMARKS, metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="under 60 s, wider intervals")
    arguments = parser.parse_args()
    # gRPC would log a line for every process that a benchmark starts.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    report = importlib.import_module(f"benches.{arguments.name}").run(quick=arguments.quick)
    # Into a file, a table is as wide as it needs to be.
    print_report(report, Console(width=None if sys.stdout.isatty() else 160))
    print(f"written to {write_report(report)}")


if __name__ == "__main__":
    main()
