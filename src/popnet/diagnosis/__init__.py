"""What is wrong with a training or with its data, where, and what mends it, proven by twins."""
