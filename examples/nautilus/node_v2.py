"""A `LiveNode` of NautilusTrader 2.0 around a replay of bars."""

import asyncio
from typing import Any

from nautilus_trader.adapters.sandbox import (
    SandboxExecutionClientConfig,
    SandboxExecutionClientFactory,
)
from nautilus_trader.common import Environment, LoggerConfig, LogLevel
from nautilus_trader.config import DataClientConfig
from nautilus_trader.execution import FixedFeeModel
from nautilus_trader.live import BarsResponse, LiveDataEngineConfig, LiveNode
from nautilus_trader.live.clients import DataClientFactory, MarketDataClient
from nautilus_trader.model import ClientId, Money, TraderId, Venue

from csv_bars import Replay
from ml4t_nautilus import bus_config, bus_factory


class ReplayClient(MarketDataClient):
    """Stands for the adapter of a venue."""

    def __init__(self, replay: Replay, stop: Any, **context: Any) -> None:
        super().__init__(venue=Venue("SIM"), **context)
        self._replay, self._stop, self._has_started = replay, stop, False

    async def _connect(self) -> None:
        for instrument in self._replay.instruments():
            self._handle_instrument(instrument)

    async def _disconnect(self) -> None:
        pass

    async def _request_bars(self, request: Any) -> None:
        bars, now = self._replay.history_of(request.bar_type), self.clock.timestamp_ns()
        self._handle_response(
            BarsResponse(self.client_id, request.bar_type, bars, request.request_id, now)
        )

    async def _subscribe_bars(self, command: Any) -> None:
        if not self._has_started:
            self._has_started = True
            self.create_task(self._play())

    async def _unsubscribe_bars(self, command: Any) -> None:
        pass

    async def _play(self) -> None:
        for bar in self._replay.live:
            await asyncio.sleep(self._replay.seconds)
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

    class Factory(DataClientFactory):
        @staticmethod
        def create(**context: Any) -> ReplayClient:
            return ReplayClient(replay, lambda: node.handle().stop(), **context)

    balance, no_fee = Money.from_str("1_000_000 USD"), FixedFeeModel(Money.from_str("0 USD"))
    sandbox = SandboxExecutionClientConfig(Venue("SIM"), [balance], fee_model=no_fee)
    builder = (
        LiveNode.builder("ML4T", TraderId("TRADER-001"), Environment.SANDBOX)
        .with_logging(LoggerConfig(stdout_level=LogLevel.WARNING))
        .with_reconciliation(False)
        .with_delay_post_stop_secs(1)
        .add_data_client("SIM", Factory, DataClientConfig())
        .add_simulated_exec_client("SIM", SandboxExecutionClientFactory(), sandbox)
    )
    if bus_url is not None:
        builder = (
            builder.with_msgbus_config(bus_config(bus_url, partition, encoding))
            .with_external_msgbus_factory(bus_factory(bus_url))
            .with_data_engine_config(LiveDataEngineConfig(external_clients=[ClientId("ML4T")]))
        )
    node = builder.build()
    for actor in actors:
        node.add_actor(actor)
    for strategy in strategies:
        node.add_strategy(strategy)
    node.run()
