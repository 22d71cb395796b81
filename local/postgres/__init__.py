"""Aurora PostgreSQL on one machine: a real server behind verified TLS and real IAM tokens.

`server.py` runs PostgreSQL with the roles that RDS has, `front.py` speaks TLS and requests IAM
tokens as RDS does, `tokens.py` verifies them against the emulator's IAM, and `component.py`
makes all of it follow the Aurora clusters that stacks create.
"""

from local.postgres.component import component

__all__ = ["component"]
