"""Recipes: all steps of a compression in one place, and the search for one within constraints."""
