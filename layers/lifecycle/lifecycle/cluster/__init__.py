"""What a cluster is to the machines: what it is known by, and the ECS services that run it."""
