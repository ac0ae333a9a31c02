"""Boosted trees beside the nets: fitted by scikit-learn, kept as plain arrays, predicted with NumPy."""
