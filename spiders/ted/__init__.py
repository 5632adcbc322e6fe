"""TED, the European Union's public procurement notices: its spider and its readers."""
