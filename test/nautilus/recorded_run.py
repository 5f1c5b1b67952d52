"""A node or a backtest of the example that writes what it sends and gets, a JSON object a line.

`recorded_run.py SETTINGS`, with settings as JSON: see `RunSettings` in python-run.ts.
"""

import json
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples" / "nautilus"))

import backtest
from busy_market import BAR_TYPES, BusyFollower, busy_bars, make_busy, stay_silent
from csv_bars import BAR_TYPE, Replay, read_bars
from ml4t_nautilus import IS_V2, ML4T, ML4TConfig, PrimarySignal, bus_config, publish, received
from nautilus_trader.model import Bar
from strategy import Follower, FollowerConfig

if IS_V2:
    import node_v2 as node
    from nautilus_trader.common import MessageBusConfig
else:
    import msgspec
    import node_v1 as node

settings = json.loads(sys.argv[1])
CONTENT = (
    "signal_id code meta_confidence regime_weight toxicity size size_reason as_of as_of_sequence "
    "model_id degraded repeated"
).split()


def tell(kind: str, **values: Any) -> None:
    # Apart from stdout, where a node logs from a thread of its own.
    os.write(3, f"{json.dumps({'kind': kind, **values})}\n".encode())


def tell_signal(signal: PrimarySignal) -> None:
    instrument, at = str(signal.instrument_id), str(signal.ts_event)
    tell("signal", signalId=signal.signal_id, instrumentId=instrument, side=signal.side, timestamp=at)


def tell_reply(reply: Any) -> None:
    values = {name: getattr(reply, name) for name in CONTENT if hasattr(reply, name)}
    # A JSON reader may hold no integer of this size.
    tell("reply", name=type(reply).__name__, **{**values, "as_of": str(values.get("as_of", ""))})


class Recorded(BusyFollower if settings["isBusy"] else Follower):
    """Sends one signal twice, and one that has to be refused."""

    ODD = 50
    count = 0

    def send(self, signal: PrimarySignal) -> None:
        tell_signal(signal)
        self.count += 1
        if self.count == self.ODD:
            super().send(signal)
            times = {"ts_event": signal.ts_event, "ts_init": signal.ts_init}
            odd = {"side": 7, "signal_id": f"odd-{signal.instrument_id}"}
            super().send(PrimarySignal(**times, instrument_id=signal.instrument_id, **odd))
        if settings["isDeferred"]:
            super().send(signal)
        else:
            self.due[signal.signal_id] = sys.maxsize
            publish(self, signal)

    def on_data(self, data: Any) -> None:
        reply = received(data)
        # Each strategy hears the replies to all.
        if str(reply.instrument_id) == str(self.bar_type.instrument_id):
            tell_reply(reply)
        super().on_data(data)


class RecordedBacktest(backtest.SizedFollower):
    def send(self, signal: PrimarySignal) -> None:
        tell_signal(signal)
        reply = self.ml4t.ask(signal, timeout=20.0)
        if reply is not None:
            tell_reply(reply)


def main() -> None:
    history, live = settings["history"], settings["live"]
    url, partition, encoding = settings["url"], settings["partition"], settings["encoding"]
    names = BAR_TYPES if settings["isBusy"] else (BAR_TYPE,)
    bars = busy_bars(history + live) if settings["isBusy"] else read_bars(end=history + live)
    history *= len(names)
    if settings["isWithoutHoles"]:
        bars = without_holes(bars)
    years = timedelta(days=365 * 30)
    config = ML4TConfig(url, partition, names, encoding, years, warm_up_seconds_max=1.0)
    if settings["way"] == "backtest":
        backtest.run(config, bars, RecordedBacktest(FollowerConfig(BAR_TYPE)))
        return
    replay = Replay(bars[:history], bars[history:], settings["seconds"], seconds_after=120)
    if settings["way"] == "actor":
        strategies = [Recorded(FollowerConfig(name)) for name in names]
        node.run(replay, [ML4T(config)], strategies)
    else:
        strategies = [Recorded(FollowerConfig(name, client="ML4T")) for name in names]
        node.run(replay, [], strategies, url, partition, encoding)


def without_holes(bars: list[Bar]) -> list[Bar]:
    """The same bars on a calendar without weekends: over a hole no signal waits for its bar."""
    first, day_ns = bars[0].ts_event, 86_400_000_000_000
    times = (first + at * day_ns for at in range(len(bars)))
    prices = ((bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars)
    return [
        Bar(bar.bar_type, *values, at, at)
        for bar, values, at in zip(bars, prices, times, strict=True)
    ]


def bus_by_topic(url: str, partition: str, encoding: str) -> Any:
    """The own bus with a stream for each topic, as it is by default."""
    single = bus_config(url, partition, encoding)
    if not IS_V2:
        return msgspec.structs.replace(single, stream_per_topic=True, streams_prefix=partition)
    return MessageBusConfig(
        encoding=single.encoding,
        external_streams=single.external_streams,
        stream_per_topic=True,
        streams_prefix=partition,
        use_trader_prefix=False,
        use_trader_id=False,
    )


if settings["isSilent"]:
    node.ReplayClient._request_bars = stay_silent
if settings["way"] == "topics":
    node.bus_config = bus_by_topic
if settings["isBusy"]:
    make_busy(node)
main()
