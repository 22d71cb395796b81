"""The application on one machine: embedded AWS, its own brokers, a real PostgreSQL. Linux only."""

import sys
from pathlib import Path

# The shared package is a Lambda layer, not an installed one.
_LAYER = str(Path(__file__).resolve().parent.parent / "layers" / "lifecycle")
if _LAYER not in sys.path:
    sys.path.append(_LAYER)
