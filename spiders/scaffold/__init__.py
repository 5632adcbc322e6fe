"""Begins a new family: its spider, stand-in, page with value, test and docs, from templates. `make family NAME=x`."""
