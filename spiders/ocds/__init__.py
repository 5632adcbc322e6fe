"""OCDS, the Open Contracting Data Standard: any publisher of release or record packages."""
