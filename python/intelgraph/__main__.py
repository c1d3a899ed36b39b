"""`python -m intelgraph`."""

from intelgraph.cli.app import main

main()
