"""Boards, cores, parts, tool-chains, and what an image of a board holds."""
