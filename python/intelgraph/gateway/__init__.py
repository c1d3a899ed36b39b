"""The gRPC gateway. Nothing is imported here: clients import the generated stubs in `v1` through this package."""
