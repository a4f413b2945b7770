"""Samplers and approximations that the curve and the surface share."""
