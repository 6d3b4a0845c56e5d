"""How a memory is stored: schema, rows, tables, commits, leases, writer lock, manifest, migrations, backlog."""
