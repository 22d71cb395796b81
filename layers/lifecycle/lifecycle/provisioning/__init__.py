"""Provisioning: request, change set, database user, services, rolling update."""
