"""Command line of the lifecycle automation for Camunda 8 on Amazon ECS."""

# The release. Written by `make generate` from the layer, which has the one place for it.
__version__ = "0.2.0"
