"""Who may do what: the platform's rules, and those that tenants add to them."""
