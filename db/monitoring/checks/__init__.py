"""The doctor's checks; each is a function that yields a finding for each thing that is wrong."""
