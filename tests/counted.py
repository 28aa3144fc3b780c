"""What the plugin that counts instructions would write."""

import numpy as np

#: A step: of each layer its instructions by class, taken branches, split ones, fetched lines.
Step = list[tuple[dict[int, int], int, int, int]]


def written(steps: list[Step]) -> bytes:
    """Return the bytes that ``tcg/ef_count.c`` writes of steps."""
    words: list[int] = []
    numbers: dict[tuple[tuple[int, int], ...], int] = {}
    for step in steps:
        for mix, *_ in step:
            key = tuple(sorted(mix.items()))
            if key not in numbers:
                numbers[key] = len(numbers) + 1
                words += [1 << 63 | len(key), *(kind << 56 | count for kind, count in key)]
        words.append(len(step))
        for mix, *others in step:
            words += [numbers[tuple(sorted(mix.items()))], *others]
    return np.array(words, np.uint64).tobytes()
