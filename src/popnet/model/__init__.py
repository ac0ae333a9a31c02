"""A fitted model: the ensemble and its encoder, how it is evaluated and kept on disk, and simple models beside it."""
