"""Run one fake broker until it is told to stop."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from local.fake_broker.broker import Broker, LeaseLost, Settings


def main() -> int:
    """Start the broker that the command line describes."""
    parser = argparse.ArgumentParser(prog="python -m local.fake_broker", description=__doc__)
    parser.add_argument("--address", required=True, help="loopback address to listen on")
    parser.add_argument("--node-id", type=int, required=True)
    parser.add_argument("--cluster-size", type=int, required=True, help="of the bootstrap")
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--replication-factor", type=int, required=True)
    parser.add_argument("--state-dir", type=Path, required=True, help="shared by the cluster")
    parser.add_argument("--start-seconds", type=float, default=1.0)
    parser.add_argument("--step-seconds", type=float, default=0.3, help="per step of a change")
    parser.add_argument("--failure-seconds", type=float, default=3.0, help="until taken for dead")
    parser.add_argument("--dialect", choices=("8.9", "8.6"), default="8.9")
    settings = Settings(**vars(parser.parse_args()))
    try:
        return Broker(settings, os.environ).run()
    except LeaseLost as error:
        print(f"broker {settings.node_id}: {error}", file=sys.stderr, flush=True)
        return 1
    except OSError as error:
        print(f"broker {settings.node_id} cannot listen: {error}", file=sys.stderr, flush=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
