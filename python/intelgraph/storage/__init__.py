"""PostgreSQL: the embedded server, the three roles and their pools, migrations, the queries of the log."""
