"""Rehearsals: a restore into a copy of a cluster, compared with the cluster, timed, torn down."""
