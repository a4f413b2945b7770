"""Imported by the fork server of worker processes, so that each of them starts warm."""

import deepinv.models
import deepinv.physics
import torch._dynamo

import reconscale.training.worker

__all__ = ["deepinv", "reconscale", "torch"]
