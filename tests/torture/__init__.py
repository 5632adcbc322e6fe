"""Bad days on purpose: `python -m tests.torture` strikes the program down thousands of times and prints the evidence."""
