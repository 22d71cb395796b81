"""What Camunda returns: topology, partitions, payloads, credentials; readers and decisions."""
