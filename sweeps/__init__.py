"""What a person runs: presets, trials, Ray Tune, MLflow, the Pareto front and its report.

Importing this package loads neither Ray, MLflow nor torch.
"""
