"""The course itself as experiments: what is taught about nets, tried on data, each with a verdict and an interval."""
