"""What every floor may use: the root of the errors, clock times, text made safe for a terminal."""
