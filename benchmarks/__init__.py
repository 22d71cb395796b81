"""What is measured, and how. Each module is a script: ``python -m benchmarks.<name>``."""

import local  # noqa: F401 - puts the shared package, a Lambda layer, on the path
