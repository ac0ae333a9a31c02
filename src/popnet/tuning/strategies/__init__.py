"""Which recipe is trained next, and how long: random, grid, halving, screening, Optuna's samplers."""
