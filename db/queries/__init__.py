"""Queries, one module for each aggregate; they take a session or a connection and never commit.

Statements of the hot paths are built once, at import: to build one for each execution takes as much
processor time as to execute it (0.33 ms and 0.15 ms for a SELECT of one template by its id).
"""
