"""A driver that feeds the firmware mutated bytes, in its own process, under sanitizers."""
