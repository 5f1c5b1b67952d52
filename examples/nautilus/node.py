"""A node with a sandbox venue whose bars come from a CSV file. Three terminals:

redis-server --appendonly yes
npx ml4t run --redis redis://127.0.0.1:6379 --data-dir .ml4t
python node.py
"""

import argparse
from datetime import timedelta

from csv_bars import BAR_TYPE, Replay, read_bars
from ml4t_nautilus import IS_V2, ML4T, ML4TConfig
from strategy import Follower, FollowerConfig

if IS_V2:
    from node_v2 import run
else:
    from node_v1 import run


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--redis", default="redis://127.0.0.1:6379", metavar="URL")
    parser.add_argument("--partition", default="0")
    parser.add_argument(
        "--history", type=int, default=1000, help="bars that the venue gives to request_bars"
    )
    parser.add_argument("--bars", type=int, default=500, help="live bars behind them")
    parser.add_argument("--seconds", type=float, default=0.05, help="between two of them")
    parser.add_argument("--encoding", choices=["json", "msgpack"], default=None)
    parser.add_argument(
        "--own-bus",
        action="store_true",
        help="the second way, without the actor; for `ml4t run --dialect nautilus-v1` or -v2",
    )
    return parser.parse_args()


def main() -> None:
    args = arguments()
    bars = read_bars(end=args.history + args.bars)
    replay = Replay(bars[: args.history], bars[args.history :], args.seconds)
    strategy = Follower(FollowerConfig(BAR_TYPE, client="ML4T" if args.own_bus else None))
    if args.own_bus:
        run(replay, [], [strategy], args.redis, args.partition, args.encoding)
    else:
        days = timedelta(days=365 * 30)
        config = ML4TConfig(args.redis, args.partition, (BAR_TYPE,), args.encoding or "json", days)
        run(replay, [ML4T(config)], [strategy])
    print(f"{strategy.sent_count} signals, {strategy.answered_count} answers in time")


if __name__ == "__main__":
    main()
