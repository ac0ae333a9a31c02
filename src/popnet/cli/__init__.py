"""The command line: arguments in, one JSON object or a few lines out."""
