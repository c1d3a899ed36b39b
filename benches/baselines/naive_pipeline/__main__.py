"""`python -m benches.baselines.naive_pipeline --dsn DSN`: serve on that PostgreSQL."""

import argparse

from benches.baselines.naive_pipeline.data_keys import DataKeys
from benches.baselines.naive_pipeline.gateway import CONNECTIONS, NaiveGateway
from benches.baselines.serving import StreamHandler, run
from benches.postgres import open_pool


def main() -> None:
    """Serves until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dsn", required=True, help="the PostgreSQL to write to")
    dsn: str = parser.parse_args().dsn

    async def create() -> StreamHandler:
        return NaiveGateway(await open_pool(dsn, CONNECTIONS), DataKeys()).stream

    run(create)


if __name__ == "__main__":
    main()
