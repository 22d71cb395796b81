"""Health checks: facts, rules, verdict, reports."""
