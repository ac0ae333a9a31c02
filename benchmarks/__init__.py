"""Speed of popnet against its peers at their best; see ``python -m benchmarks.speed --help``."""
