"""Data contracts as published, and what broke them."""
