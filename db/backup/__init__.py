"""Dumps: create, verify, prune, restore and drill; one verb a module."""
