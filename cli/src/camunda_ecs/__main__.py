"""``python -m camunda_ecs``."""

from camunda_ecs.app import main

main()
