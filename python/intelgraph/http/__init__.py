"""What the gateway serves over HTTP."""
