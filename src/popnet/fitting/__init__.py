"""The parts of a fit: candidates, their training, the choice among them, and the score of what was chosen."""
