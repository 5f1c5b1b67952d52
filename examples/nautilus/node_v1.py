"""A `TradingNode` of NautilusTrader 1.x around a replay of bars."""

import asyncio
from typing import Any

from nautilus_trader.adapters.sandbox.config import SandboxExecutionClientConfig
from nautilus_trader.adapters.sandbox.factory import SandboxLiveExecClientFactory
from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.config import (
    LiveDataClientConfig,
    LiveDataEngineConfig,
    LiveExecEngineConfig,
    LoggingConfig,
    TradingNodeConfig,
)
from nautilus_trader.live.data_client import LiveMarketDataClient
from nautilus_trader.live.factories import LiveDataClientFactory
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.identifiers import ClientId, Venue
from nautilus_trader.model.objects import Quantity

from csv_bars import Replay
from ml4t_nautilus import bus_config


class ReplayClient(LiveMarketDataClient):
    """Stands for the adapter of a venue."""

    def __init__(self, replay: Replay, stop: Any, **context: Any) -> None:
        super().__init__(
            client_id=ClientId("SIM"),
            venue=Venue("SIM"),
            instrument_provider=InstrumentProvider(),
            **context,
        )
        self._replay, self._stop, self._has_started = replay, stop, False

    async def _connect(self) -> None:
        pass

    async def _disconnect(self) -> None:
        pass

    async def _request_bars(self, request: Any) -> None:
        bars = self._replay.history_of(request.bar_type)
        start, end = request.start, request.end
        self._handle_bars(request.bar_type, bars, request.id, start, end, request.params)

    async def _subscribe_bars(self, command: Any) -> None:
        if not self._has_started:
            self._has_started = True
            self.create_task(self._play())

    async def _unsubscribe_bars(self, command: Any) -> None:
        pass

    async def _play(self) -> None:
        for bar in self._replay.live:
            await asyncio.sleep(self._replay.seconds)
            # A sandbox of 1.x takes no bars; it fills at quotes.
            size, ts = Quantity(1_000_000, 0), bar.ts_event
            self._handle_data(
                QuoteTick(bar.bar_type.instrument_id, bar.close, bar.close, size, size, ts, ts)
            )
            self._handle_data(bar)
        await asyncio.sleep(self._replay.seconds_after)
        self._stop()


def run(
    replay: Replay,
    actors: list[Any],
    strategies: list[Any],
    bus_url: str | None = None,
    partition: str = "0",
    encoding: str | None = None,
) -> None:
    """Until the bars end. With `bus_url`: the second way, over the node's own message bus."""

    class Factory(LiveDataClientFactory):
        @staticmethod
        def create(
            loop: Any, name: str, config: Any, msgbus: Any, cache: Any, clock: Any
        ) -> ReplayClient:
            return ReplayClient(
                replay, node.stop, loop=loop, msgbus=msgbus, cache=cache, clock=clock
            )

    sandbox = SandboxExecutionClientConfig(
        venue="SIM", starting_balances=["1_000_000 USD"], base_currency="USD"
    )
    node = TradingNode(
        TradingNodeConfig(
            trader_id="TRADER-001",
            logging=LoggingConfig(log_level="WARNING"),
            message_bus=None if bus_url is None else bus_config(bus_url, partition, encoding),
            data_engine=LiveDataEngineConfig(
                external_clients=[ClientId("ML4T")] if bus_url else None
            ),
            exec_engine=LiveExecEngineConfig(reconciliation=False),
            data_clients={"SIM": LiveDataClientConfig()},
            exec_clients={"SIM": sandbox},
            timeout_disconnection=1.0,
            timeout_post_stop=0.5,
        )
    )
    for instrument in replay.instruments():
        node.cache.add_instrument(instrument)
    for actor in actors:
        node.trader.add_actor(actor)
    for strategy in strategies:
        node.trader.add_strategy(strategy)
    node.add_data_client_factory("SIM", Factory)
    node.add_exec_client_factory("SIM", SandboxLiveExecClientFactory)
    node.build()
    try:
        node.run()
    finally:
        node.dispose()
