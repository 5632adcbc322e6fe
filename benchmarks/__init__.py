"""What is claimed about size and speed, shown: simulations and measurements. Never timed tests."""
