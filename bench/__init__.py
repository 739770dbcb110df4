"""Measurements: each a ratio of two things done in turn, in one run, on one stack."""
