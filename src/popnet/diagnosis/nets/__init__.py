"""What can be wrong with a training, found in nets that are probed while they learn."""
