"""Tables: read from files and frames, understood (schema), encoded to arrays and back."""
