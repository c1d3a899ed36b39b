"""Checks the whole ledger: everything that is stored of it against everything that was signed of it.

`check` lists what is checked, in order; each part of it has a module of its own.
"""
