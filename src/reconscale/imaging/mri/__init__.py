"""Accelerated MRI: masks, coils, the problem itself, and reconstructions without learning."""
