"""Dumps: made, catalogued, checked, expired and restored; one verb a file."""
