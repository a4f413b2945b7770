"""Volumes of slices: files, cached volumes, and the slices that training reads."""
