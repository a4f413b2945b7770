"""Named laws, fitted by least squares with a bootstrap."""
