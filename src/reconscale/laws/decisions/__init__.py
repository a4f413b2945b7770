"""Decisions from a curve: verdicts, targets, crossings, prices, next experiments."""
