"""The posterior over learning curves: family, discrepancy, sampler, weights, calibration."""
