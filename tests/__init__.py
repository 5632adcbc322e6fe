"""The tests; road.py and feed_samples.py hold what several of them share."""
