"""How much of a chunk the generator is given: a quote, and as many neighbours as fit.

What a generator reads before its first word is most of the waiting, so the passage has a
budget in the generator's own tokens (`passage_tokens`; figures: benchmarks/LOG.md). This
module knows no generator: what a sentence costs is told by a function.
"""

from __future__ import annotations

from collections.abc import Callable

from rag.datatypes import Quote
from rag.language import gives_orders, sentences


def excerpt(quote: Quote, budget: int, cost: Callable[[str], int]) -> str:
    """Return a quote with the sentences around it, in their order, within a budget.

    The quote's own sentences stay whatever they cost. Then the nearest one before, the
    nearest one after, and so on; a side ends at the chunk's edge or where a sentence does
    not fit, because what lies beyond a gap may speak of something else. Sentences that
    give orders are left out. `cost` counts each sentence at most once.
    """
    text, base = quote.chunk.text, quote.chunk.start
    places = [(a, b) for a, b in sentences(text) if not gives_orders(text[a:b])]
    low = sum(base + b <= quote.start for _, b in places)
    high = sum(base + a < quote.end for a, _ in places)
    left = budget - sum(cost(text[a:b]) for a, b in places[low:high])

    def fits(place: int) -> bool:
        nonlocal left
        if left <= 0 or not 0 <= place < len(places):
            return False
        a, b = places[place]
        price = cost(text[a:b])
        if price > left:
            return False
        left -= price
        return True

    before = after = True
    while before or after:
        if before := before and fits(low - 1):
            low -= 1
        if after := after and fits(high):
            high += 1
    return " ".join(text[a:b] for a, b in places[low:high])
