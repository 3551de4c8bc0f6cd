"""Alembic migrations: the schema, its roles, its policies. `python -m migrations.run upgrade` applies them."""
