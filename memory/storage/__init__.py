"""How a memory lies on disk: schema, rows, tables, commits, leases, the writer lock, migrations."""
