"""What the publish gate refuses in a source before it is compiled: pure, no I/O."""
