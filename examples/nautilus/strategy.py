"""Decide, publish, act on the answer. No trade without one in time."""

import asyncio
from dataclasses import dataclass
from typing import Any

from nautilus_trader.model import Bar, BarType
from nautilus_trader.trading import Strategy

from ml4t_nautilus import (
    IS_V2,
    EnrichedSignal,
    PrimarySignal,
    RejectedSignal,
    publish,
    received,
    subscribe,
)

if IS_V2:
    from nautilus_trader.model import OrderSide
else:
    from nautilus_trader.model.enums import OrderSide


@dataclass(frozen=True)
class FollowerConfig:
    bar_type: str = "SPX.SIM-1-DAY-LAST-EXTERNAL"
    units_max: float = 100
    """The position that size 1 means."""
    seconds_max: float = 2.0
    """An answer that comes later is not acted on."""
    client: str | None = None
    """"ML4T" where answers come over the node's own message bus."""


class Follower(Strategy):
    """Follows the last 20 bars: a stand-in for your own decision."""

    LOOK_BACK = 20

    def __init__(self, config: FollowerConfig) -> None:
        super().__init__()
        self.settings = config
        self.bar_type = BarType.from_str(config.bar_type)
        self.closes: list[float] = []
        self.due: dict[str, int] = {}  # by the id of a signal: until when its answer counts
        self.sent_count = self.answered_count = 0

    def on_start(self) -> None:
        subscribe(self, EnrichedSignal, self.settings.client)
        subscribe(self, RejectedSignal, self.settings.client)
        self.subscribe_bars(self.bar_type)

    def on_bar(self, bar: Bar) -> None:
        side = self.decide(bar)
        if side is not None:
            signal_id = f"{bar.bar_type.instrument_id}-{bar.ts_event}"
            times = {"ts_event": bar.ts_event, "ts_init": self.clock.timestamp_ns()}
            self.send(
                PrimarySignal(
                    **times,
                    instrument_id=bar.bar_type.instrument_id,
                    side=side,
                    signal_id=signal_id,
                )
            )

    def decide(self, bar: Bar) -> int | None:
        """-1, 0 or 1; None where there is nothing to decide."""
        self.closes = [*self.closes[-self.LOOK_BACK :], float(bar.close)]
        if len(self.closes) <= self.LOOK_BACK:
            return None
        return 1 if self.closes[-1] > self.closes[0] else -1

    def send(self, signal: PrimarySignal) -> None:
        self.sent_count += 1
        self.due[signal.signal_id] = self.clock.timestamp_ns() + int(
            self.settings.seconds_max * 1e9
        )
        if self.settings.client is None:
            publish(self, signal)
        else:
            # The node writes a bar after its strategies were called: one turn later it is there.
            asyncio.get_running_loop().call_soon(publish, self, signal)

    def on_data(self, data: Any) -> None:
        reply = received(data)
        due = self.due.pop(reply.signal_id, None)
        if due is None:
            return  # a copy, or another strategy's
        if self.clock.timestamp_ns() > due:
            self.log.warning(f"no trade, the answer was late: {reply}")
        elif isinstance(reply, RejectedSignal):
            self.log.error(f"no trade, the signal was refused: {reply.code}, {reply.reason}")
        else:
            self.answered_count += 1
            self.act(reply)

    def on_stop(self) -> None:
        self.close_all_positions(self.bar_type.instrument_id)

    def act(self, answer: EnrichedSignal) -> None:
        """Brings the position to the size of the answer, which is signed."""
        held = float(self.portfolio.net_position(answer.instrument_id))
        units = round(answer.size * self.settings.units_max - held)
        if units != 0:
            side = OrderSide.BUY if units > 0 else OrderSide.SELL
            quantity = self.cache.instrument(answer.instrument_id).make_qty(abs(units))
            self.submit_order(self.order_factory.market(answer.instrument_id, side, quantity))
