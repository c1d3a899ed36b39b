"""`python -m benches.baselines.naive_pipeline --socket DIR`: serve on the PostgreSQL at that socket."""

import argparse
from pathlib import Path

from benches.baselines.naive_pipeline.data_keys import DataKeys
from benches.baselines.naive_pipeline.gateway import CONNECTIONS, NaiveGateway
from benches.baselines.serving import StreamHandler, run
from benches.postgres import open_pool


def main() -> None:
    """Serves until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", type=Path, required=True, help="directory of PostgreSQL's Unix socket")
    socket_directory: Path = parser.parse_args().socket

    async def create() -> StreamHandler:
        return NaiveGateway(await open_pool(socket_directory, CONNECTIONS), DataKeys()).stream

    run(create)


if __name__ == "__main__":
    main()
