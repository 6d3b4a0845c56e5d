"""What the agent may do to a memory: overview, search, inspect, neighbours, timeline."""
