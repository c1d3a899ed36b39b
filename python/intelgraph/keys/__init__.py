"""Keys: who may hold which, for how long, and the key management services (KMS) that decide it."""
