"""The ledger: what was done, by whom, and the proof that it was not changed since."""
