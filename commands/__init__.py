"""The verbs of the command line, by what they are about; warta.py puts them together."""
