"""Lifecycle automation for Camunda 8 Orchestration Clusters on Amazon ECS."""

from typing import Final

__version__: Final = "0.2.0"
