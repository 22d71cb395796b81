"""Stands in for AWS Distro for OpenTelemetry, of which no image can be pulled here."""
