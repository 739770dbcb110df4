"""Checks of the publish gate on a source before it is compiled: pure, no I/O."""
