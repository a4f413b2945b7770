"""Imports that the fork server loads once for all worker processes."""

import deepinv.models
import deepinv.physics
import torch._dynamo

import reconscale.training.worker

__all__ = ["deepinv", "reconscale", "torch"]
