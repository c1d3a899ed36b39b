"""Whatever is longer than a request: a row with journalled steps, which outlives the gateway that runs it."""
