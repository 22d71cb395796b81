"""Which adapter stands behind which port. Plain functions; nothing is made before it is needed."""
