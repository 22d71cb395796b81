"""One module per use case: ports and core, glued."""
