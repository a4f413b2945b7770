"""A cluster of Ray with two nodes of one core each on this machine: prints its address, kills a node when told to."""

import sys

MEMORY = 100_000_000


def main() -> None:
    # Not at the top: pytest imports this file, and Ray remembers the settings of the moment when it is imported.
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "object_store_memory": MEMORY, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=MEMORY) for _ in range(2)]
    print(cluster.address, flush=True)
    for line in sys.stdin:
        if line == "kill\n":
            cluster.remove_node(nodes.pop(), allow_graceful=False)
            print("killed", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
