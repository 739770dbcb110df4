"""Uses of variables by a source: pure, no I/O."""
