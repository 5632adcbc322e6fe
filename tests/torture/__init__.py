"""Bad days on purpose: `python -m tests.torture` strikes the program down over and over, and prints the evidence."""
