"""Learning curves without simulation: the large-dimension limits of the risks."""
