"""Hostile input for everything that reads: a little in every run of the tests, as much as you like by `make fuzz`."""
