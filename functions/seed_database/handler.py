"""Seed Aurora's IAM user. Input: ``{"cluster": {outputs of the cluster stack}}``."""

from __future__ import annotations

from typing import Any

import boto3
from lifecycle.adapters.database import PostgresDatabase
from lifecycle.adapters.database_logins import AwsDatabaseLogins
from lifecycle.core.seed import SeedTarget
from lifecycle.observability import Event, entry_point
from lifecycle.operations.seed_database import seed


@entry_point
def handler(event: Event, _context: Any) -> Event:
    target = SeedTarget.from_outputs(event["cluster"])
    logins = AwsDatabaseLogins(secrets=boto3.client("secretsmanager"), rds=boto3.client("rds"))
    return seed(target, database=PostgresDatabase(target), logins=logins).as_dict()
