"""Restoring a cluster: the database beside the former one, then all brokers from their backups."""
