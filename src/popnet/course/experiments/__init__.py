"""The claims of the course, an experiment a file."""
