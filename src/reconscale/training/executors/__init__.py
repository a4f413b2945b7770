"""What carries out runs: on this machine, on a cluster of Ray, in the queue of Slurm."""
