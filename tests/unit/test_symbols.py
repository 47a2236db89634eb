"""Symbols: one spelling for all that providers and people write."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import UnknownSymbolError
from workbench.symbols import (
    CRYPTO,
    STOCKS,
    SymbolTable,
    asset_class,
    canonical,
    canonicals,
    rest_ticker,
)


@pytest.mark.parametrize(
    ("written", "ours", "market", "rest"),
    [
        ("X:BTCUSD", "BTC-USD", "crypto", "X:BTCUSD"),
        ("X:BTC-USD", "BTC-USD", "crypto", "X:BTCUSD"),
        ("btc-usd", "BTC-USD", "crypto", "X:BTCUSD"),
        ("X:ETHUSDT", "ETH-USDT", "crypto", "X:ETHUSDT"),
        ("X:ETHBTC", "ETH-BTC", "crypto", "X:ETHBTC"),
        ("C:EURUSD", "EUR/USD", "forex", "C:EURUSD"),
        ("C:USD-EUR", "USD/EUR", "forex", "C:USDEUR"),
        ("EUR/USD", "EUR/USD", "forex", "C:EURUSD"),
        (" aapl ", "AAPL", "stocks", "AAPL"),
        ("BRK.B", "BRK.B", "stocks", "BRK.B"),
        ("BAC.pB", "BAC.pB", "stocks", "BAC.pB"),
        ("I:SPX", "I:SPX", "indices", "I:SPX"),
        ("O:SPY241220P00720000", "O:SPY241220P00720000", "options", "O:SPY241220P00720000"),
    ],
)
def test_spellings(written: str, ours: str, market: str, rest: str) -> None:
    assert canonical(written) == ours
    assert asset_class(ours) == market
    assert rest_ticker(ours) == rest
    assert canonical(rest) == ours


@pytest.mark.parametrize(
    "text", ["", " ", "A B", "-USD", "A" * 33, "É", "A;B", "X:-USD", "X:X:BTC"]
)
def test_what_no_market_writes(text: str) -> None:
    with pytest.raises(UnknownSymbolError, match="not a symbol"):
        canonical(text)


def test_what_is_not_even_text() -> None:
    with pytest.raises(UnknownSymbolError):
        canonical(None)  # type: ignore[arg-type]
    with pytest.raises(UnknownSymbolError):
        canonicals([])


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(st.text(max_size=34), st.from_regex(r"[XCIO]?:?[A-Z0-9./^:-]{1,12}", fullmatch=True))
)
def test_our_spelling_is_final(text: str) -> None:
    try:
        name = canonical(text)
    except UnknownSymbolError:
        return
    assert canonical(name) == name


def test_defaults_are_spelled_our_way() -> None:
    assert canonicals(CRYPTO) == list(CRYPTO)
    assert canonicals(STOCKS) == list(STOCKS)
    assert canonicals("spy") == ["SPY"]


def test_a_table_numbers_symbols_once() -> None:
    table = SymbolTable(["BTC-USD", "X:BTCUSD", "btc-usd"])
    assert len(table) == 1
    assert (table.id("X:ETHUSD"), table.id("ETH-USD"), table.find("ETH-USD")) == (1, 1, 1)
    assert table.find("SOL-USD") is None
    assert table.names() == ("BTC-USD", "ETH-USD")
    assert "ETH-USD" in table
    assert 7 not in table
    for number in (-1, 2):
        with pytest.raises(IndexError):
            table.name(number)
    with pytest.raises(UnknownSymbolError):
        table.id("not one")
    assert repr(table) == "SymbolTable(2 symbols)"


def test_a_table_serves_many_threads() -> None:
    table = SymbolTable()
    names = [f"S{n}" for n in range(300)]
    found: list[list[int]] = []
    start = threading.Barrier(4)

    def work(order: list[str]) -> None:
        start.wait()
        numbers = {name: table.id(name) for name in order}
        found.append([numbers[name] for name in names])

    threads = [
        threading.Thread(target=work, args=(names[k:] + names[:k],)) for k in (0, 100, 200, 299)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(numbers == found[0] for numbers in found)
    assert sorted(found[0]) == list(range(300))
