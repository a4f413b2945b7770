"""Laws with a name, each fitted by least squares with a bootstrap."""
