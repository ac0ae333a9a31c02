"""What a model's predictions depend on: which columns matter, and how predictions change with them."""
