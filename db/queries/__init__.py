"""Queries, one file for each aggregate; they take a session and never commit."""
