"""Who the gateway serves, and how much of it each may use."""
