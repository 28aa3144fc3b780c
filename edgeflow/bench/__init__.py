"""Instruction counts of single kernels and cells on emulated boards."""
