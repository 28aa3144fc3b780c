"""Places in working memory, which arrays share that live at different times."""

from collections.abc import Iterable
from typing import Any


def share(
    uses: Iterable[Iterable[Any]], largest_first: bool = False
) -> tuple[dict[Any, int], dict[str, int]]:
    """Return the place of each array, and the size of each type's memory, in elements.

    `uses` are the arrays, of a `size` and a `dtype`, that each step reads or writes. In the order
    of their first use or of their size, each gets the lowest place that is free while it lives.
    """
    lives: dict[Any, tuple[int, int]] = {}
    for number, used in enumerate(uses):
        for array in used:
            lives[array] = (lives.get(array, (number, 0))[0], number)
    places: dict[Any, int] = {}
    sizes: dict[str, int] = {}
    for array in sorted(lives, key=lambda a: -a.size) if largest_first else lives:
        place, (start, end) = 0, lives[array]
        for other in sorted(places, key=lambda a: places[a]):
            apart = lives[other][1] < start or end < lives[other][0]
            if other.dtype == array.dtype and not apart and place + array.size > places[other]:
                place = max(place, places[other] + other.size)
        places[array] = place
        sizes[array.dtype] = max(sizes.get(array.dtype, 0), place + array.size)
    return places, sizes
