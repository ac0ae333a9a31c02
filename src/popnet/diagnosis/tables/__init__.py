"""What can be wrong with a table: leakage, shift, drift, wrong labels, odd columns."""
