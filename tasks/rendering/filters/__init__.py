"""Filters, tests and operators in the place of the engine's own, which authors would misread."""
