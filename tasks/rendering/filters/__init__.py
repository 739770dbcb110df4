"""Filters, tests and operators that replace the engine's own where those surprise authors."""
