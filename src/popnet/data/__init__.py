"""What nets are trained on: tables, images, and how rows are split."""
