"""What is done with predictions, whatever made them: metrics, intervals, decisions, calibration, ensembles."""
