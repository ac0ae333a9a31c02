"""Tables: read, understood (schema), split into rows to train on, encoded to arrays and back."""
