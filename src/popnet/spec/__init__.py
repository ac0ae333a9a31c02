"""What a net is, as data: its recipe, and the shape that programs are compiled for."""
