"""Benchmarks of the gateway and of the peers it is measured against. `python -m benches --help` lists
them."""
