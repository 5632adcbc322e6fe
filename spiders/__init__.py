"""How to read the official sources. Knows aggregator.models and aggregator.config; never feeds, never SQL."""
