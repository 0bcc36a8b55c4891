"""Coloured rooted trees without order: what a recurrent cell is when the numbers of its nodes are forgotten.

A tree is ``(colour, subtrees)`` with its subtrees in ascending order; a forest is the ascending tuple of some trees.
Forests of n nodes are counted and numbered 0, 1, …, so that one can be drawn uniformly.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from math import comb
from typing import Any, TypeAlias

Tree: TypeAlias = tuple[int, tuple[Any, ...]]
Forest: TypeAlias = tuple[Tree, ...]
Code: TypeAlias = tuple[tuple[int, int], ...]
"""(colour, parent) of nodes 1 to n; node 0 is the root, and every parent comes before its children."""


@cache
def trees(nodes: int, colours: int) -> int:
    """How many trees of so many nodes there are.

    Args:
        nodes: of a tree, its root included.
        colours: operations to choose from.

    Returns:
        A whole number.

    >>> [trees(n, 1) for n in range(1, 8)]
    [1, 1, 2, 4, 9, 20, 48]
    """
    return colours * forests(nodes - 1, nodes - 1, colours)


@cache
def forests(nodes: int, largest: int, colours: int) -> int:
    """How many forests of `nodes` nodes there are whose trees have at most `largest` nodes.

    Args:
        nodes: how many nodes.
        largest: nodes of the largest tree that is allowed.
        colours: operations to choose from.

    Returns:
        A whole number.

    >>> forests(8, 8, 1), forests(8, 8, 4)
    (286, 9345761)
    """
    if nodes == 0:
        return 1
    if largest == 0:
        return 0
    kinds = trees(largest, colours)
    return sum(
        comb(kinds + k - 1, k) * forests(nodes - k * largest, largest - 1, colours) for k in range(nodes // largest + 1)
    )


def forest_at(rank: int, nodes: int, colours: int, largest: int | None = None) -> Forest:
    """The forest of this number, from 0 to `forests` − 1.

    Args:
        rank: its number.
        nodes: how many nodes.
        colours: operations to choose from.
        largest: nodes of the largest tree that is allowed; None allows any.

    Returns:
        The forest, its trees in ascending order.

    Raises:
        IndexError: there is no forest of this number.
    """
    largest = nodes if largest is None else largest
    if nodes == 0:
        return ()
    kinds = trees(largest, colours)
    for k in range(nodes // largest + 1):
        rest = forests(nodes - k * largest, largest - 1, colours)
        block = comb(kinds + k - 1, k) * rest
        if rank < block:
            chosen, below = divmod(rank, rest)
            picked = tuple(tree_at(r, largest, colours) for r in _multiset_at(chosen, k, kinds))
            return tuple(sorted((*picked, *forest_at(below, nodes - k * largest, colours, largest=largest - 1))))
        rank -= block
    raise IndexError(f"there is no forest of this number among those of {nodes} nodes")


def tree_at(rank: int, nodes: int, colours: int) -> Tree:
    """The tree of this number, from 0 to `trees` − 1.

    Args:
        rank: its number.
        nodes: of the tree, its root included.
        colours: operations to choose from.

    Returns:
        The tree.
    """
    below, colour = divmod(rank, colours)
    return colour, forest_at(below, nodes - 1, colours)


def _multiset_at(rank: int, k: int, kinds: int) -> list[int]:
    """Multiset `rank` of k out of `kinds` things, by the combinatorial number system (Lehmer) of the subsets that
    adding 0, 1, … to its sorted elements gives."""
    out = []
    for place in range(k, 0, -1):
        low, high = place - 1, kinds + k - 1  # the largest element whose subsets all come before `rank`
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if comb(middle, place) <= rank else (low, middle)
        rank -= comb(low, place)
        out.append(low - (place - 1))
    return out


def forest_of(code: Code) -> Forest:
    """The trees below the root of a numbered tree.

    Args:
        code: (operation, input) of the nodes in their order.

    Returns:
        Trees in ascending order.
    """
    children: list[list[int]] = [[] for _ in range(len(code) + 1)]
    for node, (_, parent) in enumerate(code, start=1):
        children[parent].append(node)

    def below(node: int) -> Forest:
        return tuple(sorted((code[child - 1][0], below(child)) for child in children[node]))

    return below(0)


def numbered(forest: Forest) -> Code:
    """The code that numbers a forest in depth-first order.

    Args:
        forest: trees of the nodes below the root.

    Returns:
        (operation, input) a node.

    >>> numbered(((0, ((1, ()),)), (2, ())))
    ((0, 0), (1, 1), (2, 0))
    """
    code: list[tuple[int, int]] = []

    def walk(parent: int, trees_here: Forest) -> None:
        for colour, below in trees_here:
            code.append((colour, parent))
            walk(len(code), below)

    walk(0, forest)
    return tuple(code)


def numberings(forest: Forest) -> Iterator[Code]:
    """All codes of a forest, each once, in a fixed order: a node is numbered after its parent.

    Args:
        forest: trees of the nodes below the root.

    Returns:
        Codes of as many nodes.
    """

    def extend(code: Code, open_ones: tuple[tuple[int, Tree], ...]) -> Iterator[Code]:
        if not open_ones:
            yield code
            return
        for choice in sorted(set(open_ones)):  # equal subtrees of one parent give the same code
            parent, (colour, below) = choice
            rest = list(open_ones)
            rest.remove(choice)
            node = len(code) + 1
            yield from extend((*code, (colour, parent)), (*rest, *((node, child) for child in below)))

    return extend((), tuple((0, tree) for tree in forest))
