"""What a real node writes to Redis, a JSON object a line: `record_payloads.py URL json|msgpack`.

Run by hand under both versions into test/bus/fixtures, when NautilusTrader changes. The time of the
recording is in what is printed.
"""

import base64
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples" / "nautilus"))

from csv_bars import BAR_TYPE, Replay, read_bars
from ml4t_nautilus import IS_V2
from redis import Redis
from strategy import Follower, FollowerConfig

if IS_V2:
    from node_v2 import run
else:
    from nautilus_trader.common.signal import generate_signal_class
    from nautilus_trader.model import DataType
    from node_v1 import run

    SignalMomentum = generate_signal_class("momentum", float)


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


def main(url: str, encoding: str) -> None:
    bars = read_bars(end=8)
    strategy = Talkative(FollowerConfig(BAR_TYPE, client="ML4T"))
    replay = Replay(bars[:3], bars[3:], 0.1, seconds_after=6)
    run(replay, [], [strategy], url, f"record-{encoding}", encoding)
    counts: dict[str, int] = {}
    for _, fields in Redis.from_url(url).xrange(f"ml4t:{{record-{encoding}}}:in"):
        payload = base64.b64encode(fields.pop(b"payload")).decode()
        texts = {name.decode(): value.decode() for name, value in fields.items()}
        kind = ".".join(texts["topic"].split(".")[:2])
        counts[kind] = counts.get(kind, 0) + 1
        if counts[kind] <= (2 if "bars" in texts["topic"] else 1):
            print(json.dumps({"bus": encoding, **texts, "payload": payload}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
