"""A fake Camunda broker: one process per broker, one cluster state in a shared directory.

It answers as 8.9 does (`--dialect 8.6` for comparison with the real 8.6.0) on the deployed ports:
management 9600, REST 8080, gRPC 26500 (only the opening of HTTP/2). It keeps no data and runs no
processes. Needs nothing but the standard library and this project's layer.
"""

import importlib.util
import sys
from pathlib import Path

if importlib.util.find_spec("lifecycle") is None:
    sys.path.append(str(Path(__file__).resolve().parents[2] / "layers" / "lifecycle"))
