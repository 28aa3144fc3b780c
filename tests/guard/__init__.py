"""Layers on emulated boards under a plugin that allows each only the memory it was given."""
