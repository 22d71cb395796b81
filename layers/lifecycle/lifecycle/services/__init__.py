"""The ECS services of a cluster: definitions, differences, images, brokers, stopped tasks."""
