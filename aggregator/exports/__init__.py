"""Tenders for programs and for researchers: OCDS, JSON Lines, CSV, XLSX, Parquet. All stream; none knows where from."""
