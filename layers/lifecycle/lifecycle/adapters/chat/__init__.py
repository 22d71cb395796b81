"""Incoming webhooks of Slack and Microsoft Teams."""
