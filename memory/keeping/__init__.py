"""How a memory stays within its disk budget: eviction, erasure, pins, compaction, maintenance."""
