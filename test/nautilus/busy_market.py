"""A venue with four instruments that talks of more than is asked: quotes, trades, bars of other kinds
and bars that come again, with equal values and with others.
"""

import asyncio
from typing import Any

from csv_bars import PRECISION, read_bars
from ml4t_nautilus import IS_V2, bus_config
from nautilus_trader.model import Bar, BarType, Price, Quantity, QuoteTick, TradeId, TradeTick
from strategy import Follower

if IS_V2:
    from nautilus_trader.common import MessageBusConfig
    from nautilus_trader.model import AggressorSide

    BUYER = AggressorSide.BUY
else:
    import msgspec
    from nautilus_trader.model.enums import AggressorSide

    BUYER = AggressorSide.BUYER

INSTRUMENTS = ("SPX.SIM", "ABC.SIM", "BRK.B.SIM", "BTC-USD.SIM")
BAR_TYPES = tuple(f"{instrument}-1-DAY-LAST-EXTERNAL" for instrument in INSTRUMENTS)
OTHER_SPECS = ("1-DAY-MID-EXTERNAL", "12-HOUR-LAST-EXTERNAL", "1-DAY-LAST-INTERNAL")
ROWS_APART = 700
"""Each instrument has the prices of other rows of the file, all have the days of the first."""
REVISED_EVERY, REVISED_AT = 10, 1


def busy_bars(end: int) -> list[Bar]:
    """By day, and within a day by instrument."""
    days = [bar.ts_event for bar in read_bars(end=end)]
    rows = [
        read_bars(bar_type_name=name, first=ROWS_APART * at, end=ROWS_APART * at + end)
        for at, name in enumerate(BAR_TYPES)
    ]
    return [
        Bar(bar.bar_type, bar.open, bar.high, bar.low, bar.close, bar.volume, day, day)
        for at, day in enumerate(days)
        for bar in (of_instrument[at] for of_instrument in rows)
    ]


def beside(bar: Bar, day: int) -> list[Any]:
    """What the venue publishes on a day: the bar among other things."""
    instrument, at = bar.bar_type.instrument_id, bar.ts_event
    size = Quantity(1_000_000, 0)
    quote = QuoteTick(instrument, bar.close, bar.close, size, size, at, at)
    trade = TradeTick(instrument, bar.close, size, BUYER, TradeId(str(at)), at, at)
    others = [with_values(bar, f"{instrument}-{spec}", bar.close) for spec in OTHER_SPECS]
    again = []
    if day % REVISED_EVERY == REVISED_AT:
        revised = with_values(bar, str(bar.bar_type), bar.low, is_revision=True)
        again = [bar, revised, bar]
    return [quote, trade, *others, bar, *again]


def with_values(bar: Bar, bar_type: str, close: Price, is_revision: bool = False) -> Bar:
    """The open is that of no other bar, so that no two are equal."""
    values = (Price(float(bar.low), PRECISION), bar.high, bar.low, close, bar.volume)
    # 2.0 has no such mark.
    mark = {} if IS_V2 else {"is_revision": is_revision}
    return Bar(BarType.from_str(bar_type), *values, bar.ts_event, bar.ts_event, **mark)


class BusyFollower(Follower):
    """Decides once at each close, whatever else comes."""

    newest = 0

    def on_start(self) -> None:
        super().on_start()
        # Bars that the node makes of the trades itself.
        instrument = self.bar_type.instrument_id
        self.subscribe_bars(BarType.from_str(f"{instrument}-2-TICK-LAST-INTERNAL"))

    def on_bar(self, bar: Bar) -> None:
        if bar.bar_type == self.bar_type and bar.ts_event > self.newest:
            self.newest = bar.ts_event
            super().on_bar(bar)


def make_busy(node: Any) -> None:
    """Changes what the module node_v1 or node_v2 runs."""
    node.bus_config = bus_with_everything
    node.ReplayClient._play = play_busy
    node.ReplayClient._subscribe_trades = stay_silent
    node.ReplayClient._subscribe_trade_ticks = stay_silent


async def play_busy(client: Any) -> None:
    """In place of `ReplayClient._play`."""
    for at, bar in enumerate(client._replay.live):
        await asyncio.sleep(client._replay.seconds)
        for data in beside(bar, at // len(INSTRUMENTS)):
            client._handle_data(data)
    await asyncio.sleep(client._replay.seconds_after)
    client._stop()


async def stay_silent(*_: Any) -> None:
    """What a venue is asked for in vain."""


def bus_with_everything(url: str, partition: str, encoding: str) -> Any:
    """The own bus with quotes and trades too."""
    usual = bus_config(url, partition, encoding)
    if not IS_V2:
        return msgspec.structs.replace(usual, types_filter=None)
    return MessageBusConfig(
        encoding=usual.encoding,
        external_streams=usual.external_streams,
        stream_per_topic=False,
        streams_prefix=usual.streams_prefix,
        use_trader_prefix=False,
        use_trader_id=False,
    )
