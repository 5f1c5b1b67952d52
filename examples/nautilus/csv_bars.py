"""Bars of a CSV file and an instrument for them. They stand for a venue, so no key is needed."""

import csv
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nautilus_trader.model import Bar, BarType, Currency, InstrumentId, Price, Quantity, Symbol

from ml4t_nautilus import IS_V2

if IS_V2:
    from nautilus_trader.model import Equity
else:
    from nautilus_trader.model.instruments import Equity

DAILY = Path(__file__).resolve().parent.parent / "sp500-daily.csv"
BAR_TYPE = "SPX.SIM-1-DAY-LAST-EXTERNAL"
PRECISION = 6


def read_bars(
    path: Path = DAILY, bar_type_name: str = BAR_TYPE, first: int = 0, end: int | None = None
) -> list[Bar]:
    """Rows [first, end). The file stamps a bar when it opens, a node when it closes."""
    bar_type = BarType.from_str(bar_type_name)
    interval_ns = int(bar_type.spec.timedelta.total_seconds()) * 1_000_000_000
    bars = []
    with path.open() as file:
        for row in list(csv.DictReader(file))[first:end]:
            opened = datetime.fromisoformat(row["date"]).replace(tzinfo=UTC)
            closed_ns = int(opened.timestamp()) * 1_000_000_000 + interval_ns
            prices = (
                Price(float(row[name]), PRECISION) for name in ("open", "high", "low", "close")
            )
            bars.append(
                Bar(bar_type, *prices, Quantity(float(row["volume"]), 0), closed_ns, closed_ns)
            )
    return bars


def equity(instrument_id: InstrumentId) -> Equity:
    return Equity(
        instrument_id=instrument_id,
        raw_symbol=Symbol(instrument_id.symbol.value),
        currency=Currency.from_str("USD"),
        price_precision=PRECISION,
        price_increment=Price(10**-PRECISION, PRECISION),
        lot_size=Quantity(1, 0),
        ts_event=0,
        ts_init=0,
    )


@dataclass(frozen=True)
class Replay:
    """What the venue of a node does: it has a history, and gives the live bars one by one."""

    history: list[Bar]
    live: list[Bar]
    seconds: float
    """Between two live bars."""
    seconds_after: float = 1.0
    """For the last answers to come."""

    def instruments(self) -> list[Equity]:
        names = dict.fromkeys(bar.bar_type.instrument_id for bar in self.live)
        return [equity(name) for name in names]

    def history_of(self, bar_type: BarType) -> list[Bar]:
        return [bar for bar in self.history if bar.bar_type == bar_type]
