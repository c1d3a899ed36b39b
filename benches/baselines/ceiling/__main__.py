"""`python -m benches.baselines.ceiling --dsn DSN --replay DIR --connections N`: serve a replay's rows."""

import argparse
from pathlib import Path

from benches.baselines.ceiling.gateway import Ceiling
from benches.baselines.ceiling.replay import load
from benches.baselines.serving import StreamHandler, run
from benches.postgres import open_pool


def main() -> None:
    """Serves until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dsn", required=True, help="the PostgreSQL to write to")
    parser.add_argument("--replay", type=Path, required=True, help="directory of the rows to write")
    parser.add_argument("--connections", type=int, required=True, help="connections to PostgreSQL")
    arguments = parser.parse_args()

    async def create() -> StreamHandler:
        return Ceiling(await open_pool(arguments.dsn, arguments.connections), load(arguments.replay)).stream

    run(create)


if __name__ == "__main__":
    main()
