"""HTML and CSS of a source: positions of values, and what may stand there: pure, no I/O."""
