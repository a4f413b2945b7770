"""Executors: run tasks on this machine, on a Ray cluster, or as Slurm jobs."""
