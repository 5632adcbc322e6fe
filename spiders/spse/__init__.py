"""SPSE 4.5, the software of some 730 LPSE portals: its spider and its pure page readers."""
