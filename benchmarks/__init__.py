"""What is measured, and how. Each module is a script: ``python -m benchmarks.<name>``."""
