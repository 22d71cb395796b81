"""Backups that belong together: the database's snapshot, and after it the brokers' backup."""
