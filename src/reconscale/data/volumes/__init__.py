"""Volumes of slices: what files offer, what is prepared of them once, and the slices that training reads."""
