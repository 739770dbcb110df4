"""What to write instead of what the engine refuses: pure, no I/O."""
