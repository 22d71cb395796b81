"""What a cluster is to the control plane: names, contract, stack, parameters, tags, prices."""
