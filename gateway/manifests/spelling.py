"""What somebody may have meant."""

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean `x`?`, or nothing when no name is near enough to be a slip of the pen."""
    found = closest(word, known)
    return f"; did you mean `{found}`?" if found is not None else ""


def closest(word: str, known: Iterable[str]) -> str | None:
    """The nearest name that is one slip away for each three characters, and no more than two; upper case is no slip.

    Of a type such as `provider-account/opanai`, what stands behind the last slash counts: the rest is the same for all.
    """
    most = min(2, len(word.rpartition("/")[2]) // 3)
    found = {name: slips(word.casefold(), name.casefold(), most) for name in known}
    nearest = min(found, key=found.__getitem__, default=None)
    return nearest if nearest is not None and found[nearest] <= most else None


def slips(one: str, other: str, most: int) -> int:
    """Letters put in, left out, changed, or swapped with their neighbour, to make one word of the other.

    More than `most` are not counted further. Source: optimal string alignment, after Damerau.
    """
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, other_letter in enumerate(other, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (letter != other_letter)))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == other_letter:
                row[j] = min(row[j], last[j - 2] + 1)
    return row[-1]
