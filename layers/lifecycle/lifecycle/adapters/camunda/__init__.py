"""Camunda and its load balancers over the network."""
