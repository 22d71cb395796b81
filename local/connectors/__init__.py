"""Stands in for Camunda's connectors, of which no release can be fetched here."""
