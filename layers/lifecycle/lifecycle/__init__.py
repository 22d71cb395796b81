"""Lifecycle automation for Camunda 8 Orchestration Clusters on Amazon ECS."""
