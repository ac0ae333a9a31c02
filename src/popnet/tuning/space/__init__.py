"""Ranges of hyper-parameters: those from the literature, users' own, and recipes that won elsewhere."""
