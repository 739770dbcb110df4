"""Suggested fixes for engine errors: pure, no I/O."""
