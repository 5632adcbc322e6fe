"""Stand-ins of the official sources, for the demo, the tests and the benchmarks. All their data is made up."""
