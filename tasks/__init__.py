"""What a message does."""
