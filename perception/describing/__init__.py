"""How moments are put into words: by rules, and by a video LMM in the background."""
