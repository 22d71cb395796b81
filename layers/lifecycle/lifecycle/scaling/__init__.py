"""Scaling brokers and partitions: decisions as tables, preconditions, plans, cluster changes."""
