"""Learning curves without random numbers: the large-dimension limits of the risks, exact in the limit only."""
