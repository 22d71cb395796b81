"""Teardown: what is deleted, what is retained, and what that costs."""
