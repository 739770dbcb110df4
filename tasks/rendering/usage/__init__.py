"""What a source does with its variables: pure, no I/O."""
