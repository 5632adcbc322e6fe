"""What a tender is, how it changes, where it is kept. Imports neither spiders nor feeds."""
