"""Every linear inverse problem of images through one adapter to deepinv's operators."""
