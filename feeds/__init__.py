"""What subscribers get. Knows aggregator, never spiders."""
