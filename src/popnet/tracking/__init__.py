"""A finished fit in an experiment tracker: what is logged (`record`), trackers (MLflow, TensorBoard), and `run`."""
