"""Recipes: all steps of a compression in one place, and the one that fits what a user can pay."""

from edgeflow.recipes.apply import compress_by_recipe
from edgeflow.recipes.recipe import Recipe, make_recipe, read_recipe

__all__ = ["Recipe", "compress_by_recipe", "make_recipe", "read_recipe"]
