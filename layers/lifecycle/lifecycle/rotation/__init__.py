"""Rotation of the passwords of a cluster: Camunda's administrator, its connectors, Aurora's."""
