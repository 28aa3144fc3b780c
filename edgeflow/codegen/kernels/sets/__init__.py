"""Kernel sets, one module each."""
