"""Two dimensions: the error as a surface over training-set size n and network parameters p."""
