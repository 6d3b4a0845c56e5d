"""The crash harness: kills a writer and checks what is left. Not part of the wheel."""
