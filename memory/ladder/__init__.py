"""How moments become events, hours and days: boundaries, summaries, representative frames."""
