"""What a real node writes to Redis, a JSON object a line: `record_payloads.py URL json|msgpack`.

With `busy` behind it: all of its data in their order, beside the venue of busy_market.py. Run by
hand under both versions into test/bus/fixtures, when NautilusTrader changes. The time of the
recording is in what is printed.
"""

import base64
import json
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples" / "nautilus"))

from busy_market import BAR_TYPES, BusyFollower, busy_bars, make_busy
from csv_bars import BAR_TYPE, Replay, read_bars
from ml4t_nautilus import IS_V2
from redis import Redis
from strategy import Follower, FollowerConfig

if IS_V2:
    import node_v2 as node
else:
    import node_v1 as node
    from nautilus_trader.common.signal import generate_signal_class
    from nautilus_trader.model import DataType

    SignalMomentum = generate_signal_class("momentum", float)


FIRST_DAY = 300
"""Of the busy recording: the days before it are the history of whoever plays it."""


class Talkative(Follower):
    """Requests history, and publishes each signal in both forms."""

    LOOK_BACK = 1

    def on_start(self) -> None:
        super().on_start()
        self.request_bars(self.bar_type, start=datetime.now(UTC) - timedelta(days=1))

    def on_bar(self, bar: Any) -> None:
        super().on_bar(bar)
        if IS_V2:
            self.publish_signal("momentum", 0.73, bar.ts_event)
        else:
            signal = SignalMomentum(0.73, bar.ts_event, bar.ts_event)
            self.publish_data(DataType(SignalMomentum), signal)


class Curt(BusyFollower):
    LOOK_BACK = 1


def record(url: str, encoding: str) -> None:
    """Of each kind that is published one, of bars two."""
    bars = read_bars(end=8)
    strategy = Talkative(FollowerConfig(BAR_TYPE, client="ML4T"))
    replay = Replay(bars[:3], bars[3:], 0.1, seconds_after=6)
    node.run(replay, [], [strategy], url, f"record-{encoding}", encoding)
    counts: Counter[str] = Counter()
    for texts in published(url, encoding):
        kind = ".".join(texts["topic"].split(".")[:2])
        counts[kind] += 1
        if counts[kind] <= (2 if "bars" in texts["topic"] else 1):
            print(json.dumps(texts))


def record_busy(url: str, encoding: str) -> None:
    """All bars and signals of three days, of everything else two of each topic."""
    make_busy(node)
    strategies = [Curt(FollowerConfig(name, client="ML4T")) for name in BAR_TYPES]
    replay = Replay([], busy_bars(FIRST_DAY + 3)[FIRST_DAY * len(BAR_TYPES) :], 0.1)
    node.run(replay, [], strategies, url, f"record-{encoding}", encoding)
    counts: Counter[str] = Counter()
    for texts in published(url, encoding):
        topic = texts["topic"]
        is_read = topic.endswith("-1-DAY-LAST-EXTERNAL") or topic.startswith("data.PrimarySignal")
        counts[topic] += 1
        if is_read or (counts[topic] <= 2 and topic.startswith(("data.quotes", "data.trades", "data.bars"))):
            print(json.dumps(texts))


def published(url: str, encoding: str) -> Iterator[dict[str, str]]:
    for _, fields in Redis.from_url(url).xrange(f"ml4t:{{record-{encoding}}}:in"):
        payload = base64.b64encode(fields.pop(b"payload")).decode()
        texts = {name.decode(): value.decode() for name, value in fields.items()}
        yield {"bus": encoding, **texts, "payload": payload}


if __name__ == "__main__":
    (record_busy if "busy" in sys.argv else record)(sys.argv[1], sys.argv[2])
