"""From what a user brings to what a fit trains on: read, check, split, encode."""
