"""Command line of the lifecycle automation for Camunda 8 on Amazon ECS."""

# The release, as in the repository's pyproject.toml; a test compares them.
__version__ = "0.1.0"
