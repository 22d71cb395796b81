"""Checks before any change: account, network, quotas, images, versions, backups."""
