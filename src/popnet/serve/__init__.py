"""A model over HTTP: rows in, predictions out, requests that come together answered by one pass."""
