"""A real WordPress on loopback, with its database, for tests/test_in_wordpress.py."""
