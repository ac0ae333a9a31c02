"""One small net that learns what an ensemble predicts (popnet distil)."""
