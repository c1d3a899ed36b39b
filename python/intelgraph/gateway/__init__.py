"""The gRPC gateway. Imports nothing: clients reach the generated stubs in `v1` through this package."""
