"""Input from strangers: what every reader and the server hold to, found by fuzzing and kept by tests."""
