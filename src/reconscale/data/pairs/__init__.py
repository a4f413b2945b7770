"""Real pairs: inputs that were measured, with their truths."""
