"""Holds tables against what entries say was done to them.

Each module builds, for the tables of one area, what their rows are and what entries told; `comparing` names the
differences. Rows are read here with statements of their own: what checks a table does not go through what writes it.
"""
