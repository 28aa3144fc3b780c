"""Measuring a build on its board: counts, models of cycles and energy, sizes, report."""
