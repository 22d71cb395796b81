"""Ways in for a limited time: the management API through the web load balancer."""
