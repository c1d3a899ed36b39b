"""Generated from `proto/intelgraph/gateway/v1` by `make generate`. Do not edit."""
