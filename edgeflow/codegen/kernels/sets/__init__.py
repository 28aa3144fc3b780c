"""Kernel sets: a module each."""
