"""The synthetic world, and what measures Recollect against it."""
