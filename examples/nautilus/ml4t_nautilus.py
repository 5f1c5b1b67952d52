"""The file to copy: signals of a NautilusTrader node go to `ml4t run --redis`, answers come back.

For NautilusTrader 1.231 and 2.0. Import it before the node is made: only then does a node know the
classes. Needs `pip install redis` (2.0: `pyarrow` too; `encoding="msgpack"`: `msgspec` too).
"""

import asyncio
import json
import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from itertools import islice
from typing import Any
from urllib.parse import unquote, urlsplit

from nautilus_trader.model import Bar, BarType, ClientId, DataType, InstrumentId
from nautilus_trader.model.custom import customdataclass
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

try:
    from msgspec import msgpack
except ImportError:
    msgpack = None

# Not the log of the node, which 2.0 lets no other thread touch.
LOG = logging.getLogger("ml4t")
IS_V2 = version("nautilus_trader").startswith("2.")

if IS_V2:
    from nautilus_trader.common import DataActor as Actor
    from nautilus_trader.common import MessageBusConfig, SerializationEncoding
    from nautilus_trader.infrastructure import RedisMessageBusConfig, RedisMessageBusFactory
    from nautilus_trader.model import CustomData, register_custom_data_class

    Data = object
else:
    from nautilus_trader.common.actor import Actor
    from nautilus_trader.config import DatabaseConfig, MessageBusConfig
    from nautilus_trader.core.data import Data
    from nautilus_trader.model.data import QuoteTick, TradeTick


@customdataclass
class PrimarySignal(Data):
    """What a strategy would do. `ts_event` is the close of the newest bar it was decided from."""

    instrument_id: InstrumentId
    side: int = 0  # -1, 0 or 1
    signal_id: str = ""  # of its own for every signal: by it the answer is known


@customdataclass
class EnrichedSignal(Data):
    """The answer to one signal. `ts_event` is the signal's, `ts_init` when it was answered."""

    instrument_id: InstrumentId
    signal_id: str = ""
    side: int = 0
    meta_confidence: float = 0.0  # P(the side is right)
    regime_weight: float = 0.0
    toxicity: float = 0.0
    size: float = 0.0  # signed fraction of the largest position
    size_reason: str = ""  # why it is 0
    model_available: bool = False
    toxicity_available: bool = False
    regime_available: bool = False
    as_of: int = 0  # close of the newest bar that the answer has seen, nanoseconds
    as_of_sequence: int = -1
    generation: int = 0
    model_id: str = ""
    latency_ns: int = 0
    degraded: str = ""  # why the answer is a default, such as 'bar-missing'
    repeated: bool = False  # a copy: the signal was sent twice


@customdataclass
class RejectedSignal(Data):
    """A signal that was refused, by a stable `code`. It gets no answer."""

    instrument_id: str = ""  # text: what is refused may name no instrument
    signal_id: str = ""
    code: str = ""
    field: str = ""
    reason: str = ""
    repeated: bool = False

    # In 1.x a field `instrument_id` would be read as an InstrumentId.
    def to_dict(self) -> dict[str, Any]:
        return {"type": "RejectedSignal", **{name: getattr(self, name) for name in REFUSAL}}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "RejectedSignal":
        return cls(**{name: values[name] for name in REFUSAL if name in values})


REFUSAL = ("ts_event", "ts_init", *RejectedSignal.__annotations__)
Reply = EnrichedSignal | RejectedSignal

if IS_V2:
    for data_class in (PrimarySignal, EnrichedSignal, RejectedSignal):
        register_custom_data_class(data_class)


def publish(component: Any, data: PrimarySignal | Reply) -> None:
    """Publishes inside the node, from a strategy or an actor."""
    if IS_V2:
        data_type = DataType(type(data).__name__)
        component.publish_data(data_type, CustomData(data_type, data))
    else:
        component.publish_data(DataType(type(data)), data)


def subscribe(component: Any, data_class: type, client: str | None = None) -> None:
    """Objects of the class come to `on_data`. `client` is "ML4T" over the node's own bus."""
    client_id = None if client is None else ClientId(client)
    if IS_V2:
        component.subscribe_data(DataType(data_class.__name__), client_id=client_id)
    elif client_id is None:
        component.msgbus.subscribe(
            topic=f"data.{data_class.__name__}*", handler=component.handle_data
        )
    else:
        component.subscribe_data(DataType(data_class), client_id=client_id)


def received(data: Any) -> Any:
    """The object that came to `on_data`, which 2.0 wraps."""
    return data.data if IS_V2 and isinstance(data, CustomData) else data


@dataclass(frozen=True)
class ML4TConfig:
    url: str = "redis://127.0.0.1:6379"
    partition: str = "0"
    """That of `ml4t run --redis URL --partition …`. A backtest needs one of its own."""
    bar_types: tuple[str, ...] = ()
    """One for each instrument, such as "SPX.SIM-1-DAY-LAST-EXTERNAL"."""
    encoding: str = "json"
    """Or "msgpack", of what is sent; both are read."""
    warm_up: timedelta | None = None
    """How far back bars are requested before the first live one; None: not at all."""
    warm_up_seconds_max: float = 10.0
    warm_up_held_max: int = 10_000
    """Live messages wait for requested bars no longer than this, and no more of them."""

    def __post_init__(self) -> None:
        if self.encoding not in ("json", "msgpack"):
            raise ValueError(f'encoding is "json" or "msgpack", not "{self.encoding}"')
        if self.encoding == "msgpack":
            need_msgpack()


@dataclass(frozen=True)
class WarmUp:
    """What waits for the requested bars of an instrument, and those that came."""

    held: list[dict[str, Any]] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)


class ML4T(Actor):
    """Sends bars and signals of the node to Redis, and publishes the replies inside the node.

    A signal never passes its bar, so publish it in `on_bar`. What Redis has not confirmed is sent
    again: equal bars are merged and a signal is known by its id, so nothing counts twice. Replies
    are read on from the last one, through restarts of Redis (run it with `appendonly yes`).
    """

    def __init__(self, config: ML4TConfig) -> None:
        super().__init__()
        self._ml4t = config
        self._bar_types = [BarType.from_str(name) for name in config.bar_types]
        self._sent_bars: dict[str, dict[str, Any]] = {}
        self._warm_ups: dict[str, WarmUp] = {}
        self._link: Link | None = None

    def on_start(self) -> None:
        """Raises where the partition is of the other kind, in a backtest also without Redis."""
        self._sent_bars.clear()
        # A simulated clock shows the time of its bars.
        is_live = abs(self.clock.timestamp_ns() - time.time_ns()) < 60 * 1_000_000_000
        on_reply = None
        if is_live:
            loop = asyncio.get_running_loop()
            on_reply = lambda reply: loop.call_soon_threadsafe(self._deliver, reply)
        self._link = Link(self._ml4t, "live" if is_live else "backtest", on_reply)
        self._link.open(is_needed=not is_live)
        for bar_type in self._bar_types:
            if is_live and self._ml4t.warm_up is not None:
                self._request(bar_type, self._ml4t.warm_up)
            if not IS_V2:
                self.msgbus.subscribe(
                    topic=f"data.bars.{bar_type}", handler=self.on_bar, priority=10
                )
            self.subscribe_bars(bar_type)
        subscribe(self, PrimarySignal)

    def on_stop(self) -> None:
        for instrument in list(self._warm_ups):
            self._release(instrument, "the node stops")
        if self._link is not None:
            self._link.close()

    def on_bar(self, bar: Bar) -> None:
        message = bar_message(bar)
        # A bar comes twice where its signal was faster than its own subscription.
        if self._sent_bars.get(str(bar.bar_type)) != message:
            self._sent_bars[str(bar.bar_type)] = message
            self._send(bar.bar_type.instrument_id, message)

    def on_data(self, data: Any) -> None:
        signal = received(data)
        if isinstance(signal, PrimarySignal):
            self._send_newest_bar(signal.instrument_id)
            self._send(signal.instrument_id, signal_message(signal))

    def ask(self, signal: PrimarySignal, timeout: float = 1.0) -> Reply | None:
        """The reply to the signal, for which the caller waits; None where it does not come in time.

        For backtests: the one way to get replies there. In a live node it stops everything else.
        """
        if self._link is None:
            raise RuntimeError("ask() before the node runs: add the ML4T actor before the strategy")
        self._send_newest_bar(signal.instrument_id)
        if str(signal.instrument_id) in self._warm_ups:
            self.log.warning(
                f"no answer to {signal.signal_id}: {signal.instrument_id} is still warming up"
            )
            return None
        reply = self._link.ask(signal_message(signal), timeout)
        if reply is not None:
            return reply_of(reply, self.clock.timestamp_ns())
        where = f"--redis {without_password(self._ml4t.url)} --partition {self._ml4t.partition}"
        self.log.warning(
            f"no answer to {signal.signal_id} within {timeout} s: does `ml4t run {where}` run?"
        )
        return None

    def _deliver(self, reply: dict[str, Any]) -> None:
        publish(self, reply_of(reply, self.clock.timestamp_ns()))

    def _send_newest_bar(self, instrument_id: InstrumentId) -> None:
        """2.0 calls strategies before actors; what they have seen is in the cache."""
        for bar_type in self._bar_types:
            if bar_type.instrument_id == instrument_id:
                bar = self.cache.bar(bar_type)
                sent = self._sent_bars.get(str(bar_type))
                if bar is not None and (sent is None or bar.ts_event > int(sent["tsEventNs"])):
                    self.on_bar(bar)

    def _send(self, instrument_id: InstrumentId, message: dict[str, Any]) -> None:
        warm_up = self._warm_ups.get(str(instrument_id))
        if warm_up is None:
            self._link.send(message)
            return
        warm_up.held.append(message)
        if len(warm_up.held) >= self._ml4t.warm_up_held_max:
            self._release(str(instrument_id), f"{len(warm_up.held)} messages wait")

    # Warm-up: requested bars go first, what is live waits for them.

    def _request(self, bar_type: BarType, span: timedelta) -> None:
        instrument = str(bar_type.instrument_id)
        self._warm_ups[instrument] = WarmUp()
        start = datetime.now(UTC) - span
        if IS_V2:
            self.request_bars(bar_type, start=start)
        else:
            self.request_bars(bar_type, start=start, callback=lambda _: self._release(instrument))
        seconds = self._ml4t.warm_up_seconds_max
        self.clock.set_time_alert_ns(
            f"ML4T-warm-up-{bar_type}",
            self.clock.timestamp_ns() + int(seconds * 1e9),
            lambda _: self._release(instrument, f"no answer to request_bars in {seconds} s"),
        )

    def on_historical_data(self, data: Any) -> None:
        """1.x: one bar; the request's callback follows the last."""
        if isinstance(data, Bar):
            self._take_history(data)

    def on_historical_bars(self, bars: list[Bar]) -> None:
        """2.0: all of them."""
        for bar in bars:
            self._take_history(bar)
        instruments = {str(bar.bar_type.instrument_id) for bar in bars}
        if not bars and len(self._warm_ups) == 1:
            # An empty answer names no instrument; several wait for their time to be over.
            instruments = set(self._warm_ups)
        for instrument in instruments:
            self._release(instrument)

    def _take_history(self, bar: Bar) -> None:
        message = {**bar_message(bar), "historical": True}
        warm_up = self._warm_ups.get(str(bar.bar_type.instrument_id))
        if warm_up is None:
            self._link.send(message)
        else:
            warm_up.history.append(message)

    def _release(self, instrument: str, problem: str | None = None) -> None:
        warm_up = self._warm_ups.pop(instrument, None)
        if warm_up is None:
            return
        if problem is not None:
            self.log.warning(f"{instrument} goes live without all of its history: {problem}")
        history = sorted(warm_up.history, key=lambda bar: int(bar["tsEventNs"]))
        for message in (*history, *warm_up.held):
            self._link.send(message)


def bar_message(bar: Bar) -> dict[str, Any]:
    values = {name: str(getattr(bar, name)) for name in ("open", "high", "low", "close", "volume")}
    instrument = str(bar.bar_type.instrument_id)
    return {"type": "bar", "instrumentId": instrument, "tsEventNs": str(bar.ts_event), **values}


def signal_message(signal: PrimarySignal) -> dict[str, Any]:
    """Raises ValueError for a signal without an id."""
    if signal.signal_id == "":
        raise ValueError(
            'a PrimarySignal needs a signal_id of its own: f"{instrument_id}-{bar.ts_event}"'
        )
    instrument, at = str(signal.instrument_id), str(signal.ts_event)
    return {
        "type": "signal",
        "signalId": signal.signal_id,
        "instrumentId": instrument,
        "signal": signal.side,
        "timestamp": at,
    }


def reply_of(message: dict[str, Any], now_ns: int) -> Reply:
    """An answer or a refusal as Redis has it: the same fields, most of them in camelCase."""
    is_refusal = message["type"] == "rejected"
    data_class = RejectedSignal if is_refusal else EnrichedSignal
    renamed = {"side": "signal", "as_of": "asOfNs"}
    values = {}
    for name, kind in data_class.__annotations__.items():
        value = message[renamed.get(name) or camel_case(name)]
        make = InstrumentId.from_str if kind is InstrumentId else kind
        # Numbers that JavaScript cannot hold come as text; null means that there is none.
        values[name] = kind() if value is None else make(value)
    at = now_ns if is_refusal else int(message["timestamp"])
    return data_class(ts_event=at, ts_init=now_ns, **values)


def camel_case(name: str) -> str:
    return re.sub("_(.)", lambda match: match[1].upper(), name)


class Link:
    """Two threads with a Redis connection each: one writes the input, one reads the replies."""

    SECONDS_BETWEEN_TRIES = 0.5
    SECONDS_TO_OPEN = 2.0
    SECONDS_TO_CLOSE = 5.0
    WAITING_MAX = 1_000_000

    def __init__(
        self, config: ML4TConfig, kind: str, on_reply: Callable[[dict], None] | None
    ) -> None:
        self._config, self._kind, self._on_reply = config, kind, on_reply
        keys = f"ml4t:{{{config.partition}}}"
        self._input, self._output, self._marker = f"{keys}:in", f"{keys}:out", f"{keys}:kind"
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._asked: dict[str, dict[str, Any] | None] = {}
        self._last: bytes | None = None
        self._problem: str | None = None
        self._is_closing = False  # what waits is still sent
        self._is_over = False  # nothing is tried any more
        self._threads = [
            threading.Thread(
                target=self._keep, args=(work,), name=f"ml4t-{work.__name__}", daemon=True
            )
            for work in (self._write, self._read)
        ]

    def open(self, is_needed: bool) -> None:
        """Raises RuntimeError where the partition is of the other kind, or a needed Redis away."""
        for thread in self._threads:
            thread.start()
        with self._changed:
            self._changed.wait_for(
                lambda: self._last is not None or self._is_over, self.SECONDS_TO_OPEN
            )
            if self._is_over or (is_needed and self._last is None):
                self._end()
                raise RuntimeError(
                    self._problem or f"no Redis at {without_password(self._config.url)}"
                )

    def send(self, message: dict[str, Any]) -> None:
        with self._changed:
            if self._is_over:
                return
            if len(self._waiting) >= self.WAITING_MAX:
                self._tell("too much waits for Redis: bars are lost now, send them with send-bars")
                return
            self._waiting.append(encode(message, self._config.encoding))
            self._changed.notify_all()

    def ask(self, message: dict[str, Any], timeout: float) -> dict[str, Any] | None:
        name = message["signalId"]
        with self._changed:
            self._asked[name] = None
        self.send(message)
        with self._changed:
            self._changed.wait_for(lambda: self._asked[name] is not None, timeout)
            return self._asked.pop(name)

    def close(self) -> None:
        """Returns when Redis has confirmed everything; after 5 s it warns of what is not."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: not self._waiting, self.SECONDS_TO_CLOSE):
                LOG.warning(f"{len(self._waiting)} messages are not in Redis: {self._problem}")
            self._end()
        for thread in self._threads:
            thread.join(self.SECONDS_BETWEEN_TRIES)

    def _end(self) -> None:
        self._is_closing = self._is_over = True
        self._changed.notify_all()

    def _keep(self, work: Callable[[Redis], None]) -> None:
        """Tries again for as long as the node runs."""
        while not self._is_over:
            # The work itself is what is tried again: the client must not repeat single commands.
            once = Retry(NoBackoff(), 0)
            redis = Redis.from_url(self._config.url, retry=once, socket_timeout=5)
            try:
                work(redis)
                return
            except (RedisError, OSError) as error:
                self._tell(f"Redis at {without_password(self._config.url)}: {error}")
                time.sleep(self.SECONDS_BETWEEN_TRIES)
            finally:
                redis.close()

    def _tell(self, problem: str) -> None:
        if problem != self._problem:
            LOG.warning(f"{problem} ({len(self._waiting)} messages wait)")
        self._problem = problem

    def _write(self, redis: Redis) -> None:
        self._enter(redis)
        while not self._is_over:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closing)
                some = list(islice(self._waiting, 500))
            if not some:
                return
            with redis.pipeline(transaction=True) as pipe:
                for payload in some:
                    pipe.xadd(self._input, {"payload": payload})
                pipe.execute()
            with self._changed:
                for _ in some:
                    self._waiting.popleft()
                self._changed.notify_all()

    def _enter(self, redis: Redis) -> None:
        """The first writer marks the partition: no backtest mixes with what is live."""
        redis.set(self._marker, self._kind, nx=True)
        found = redis.get(self._marker).decode()
        newest = redis.xrevrange(self._output, count=1)
        with self._changed:
            if found != self._kind:
                self._tell(
                    f"partition {self._config.partition} is {found} and this node is {self._kind}: "
                    "give each a partition of its own, or a backtest would teach what is live"
                )
                self._waiting.clear()
                self._end()
            elif self._last is None:
                self._last = newest[0][0] if newest else b"0-0"
                self._changed.notify_all()

    def _read(self, redis: Redis) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._last is not None or self._is_closing)
        while not self._is_closing:
            for _, entries in redis.xread({self._output: self._last}, block=200, count=1000) or ():
                for entry_id, fields in entries:
                    self._last = entry_id
                    self._take(decode(fields[b"payload"]))

    def _take(self, reply: dict[str, Any]) -> None:
        name = reply.get("signalId")
        with self._changed:
            if name in self._asked:
                self._asked[name] = reply
                self._changed.notify_all()
                return
        if self._on_reply is not None and not self._is_closing:
            self._on_reply(reply)


def encode(message: dict[str, Any], encoding: str) -> bytes:
    return msgpack.encode(message) if encoding == "msgpack" else json.dumps(message).encode()


def decode(payload: bytes) -> dict[str, Any]:
    # A map in MessagePack never begins with a brace.
    if payload[:1] == b"{":
        return json.loads(payload)
    need_msgpack()
    return msgpack.decode(payload)


def need_msgpack() -> None:
    if msgpack is None:
        raise RuntimeError(
            "MessagePack needs msgspec: `pip install msgspec`, or run both sides with JSON"
        )


def without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or 6379}"


# The second way: the node's own message bus, without the actor. docs/nautilus.md tells its price.


def bus_config(url: str, partition: str = "0", encoding: str | None = None) -> MessageBusConfig:
    """Settings of the node's own bus; 2.0 takes the address apart from them, as `bus_factory(url)`.

    `encoding` is that of `ml4t run --encoding`; None is json, under 2.0 msgpack.
    """
    name = encoding or ("msgpack" if IS_V2 else "json")
    common = {
        "streams_prefix": f"ml4t:{{{partition}}}:in",
        "external_streams": [f"ml4t:{{{partition}}}:out:nautilus-v{2 if IS_V2 else 1}"],
        "use_trader_prefix": False,
        "use_trader_id": False,
        "use_instance_id": False,
        "stream_per_topic": False,  # one stream, so bars and signals keep their order
        "heartbeat_interval_secs": 5,
    }
    if IS_V2:
        kind = SerializationEncoding.JSON if name == "json" else SerializationEncoding.MSG_PACK
        return MessageBusConfig(encoding=kind, types_filter=["QuoteTick", "TradeTick"], **common)
    # The node empties the list it is given, so it is made anew for each.
    return MessageBusConfig(
        database=DatabaseConfig(**address(url)),
        encoding=name,
        types_filter=[QuoteTick, TradeTick],
        **common,
    )


def bus_factory(url: str) -> Any:
    """2.0: what `LiveNodeBuilder.with_external_msgbus_factory` takes beside `bus_config`."""
    return RedisMessageBusFactory(RedisMessageBusConfig(**address(url)))


def address(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    secret = {
        name: unquote(value) for name in ("username", "password") if (value := getattr(parts, name))
    }
    place = {"host": parts.hostname, "port": parts.port or 6379, "ssl": parts.scheme == "rediss"}
    return {**place, **secret}
