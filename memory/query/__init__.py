"""How a memory is read: snapshots, hybrid search, filters, ranking."""
