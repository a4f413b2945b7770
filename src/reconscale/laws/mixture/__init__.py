"""Quality against the images of several sources: what an image of each is worth, and which to collect."""
