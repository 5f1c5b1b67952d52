"""The same strategy over the past: its sides train a model, and the model sizes later bars.

python backtest.py --partition train --end 3500              # bars and sides into Redis
npx ml4t train --redis redis://127.0.0.1:6379 --partition train --model-dir models
npx ml4t run --redis redis://127.0.0.1:6379 --partition sized --model-dir models   # stays
python backtest.py --partition sized --first 3400 --sized    # bars that the model has not seen

A run needs a partition that holds nothing yet: a stream goes forward only.
"""

import argparse

from nautilus_trader.model import Bar, Currency, Money, Venue

from csv_bars import BAR_TYPE, equity, read_bars
from ml4t_nautilus import IS_V2, ML4T, EnrichedSignal, ML4TConfig, PrimarySignal
from strategy import Follower, FollowerConfig

if IS_V2:
    from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
    from nautilus_trader.common import LoggerConfig, LogLevel
    from nautilus_trader.execution import FixedFeeModel
    from nautilus_trader.model import AccountType, OmsType
else:
    from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
    from nautilus_trader.backtest.models import FixedFeeModel
    from nautilus_trader.config import LoggingConfig
    from nautilus_trader.model.enums import AccountType, OmsType


USD = Currency.from_str("USD")


class SizedFollower(Follower):
    """In a backtest no time passes while an answer is on its way, so the strategy waits for it."""

    ml4t: ML4T

    def send(self, signal: PrimarySignal) -> None:
        reply = self.ml4t.ask(signal)
        if isinstance(reply, EnrichedSignal):
            self.act(reply)


def run(config: ML4TConfig, bars: list[Bar], strategy: Follower) -> BacktestEngine:
    """The engine after its run."""
    logging = (
        LoggerConfig(stdout_level=LogLevel.WARNING) if IS_V2 else LoggingConfig(log_level="WARNING")
    )
    engine = BacktestEngine(BacktestEngineConfig(logging=logging))
    engine.add_venue(
        Venue("SIM"),
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        starting_balances=[Money.from_str("1_000_000 USD")],
        base_currency=USD,
        fee_model=FixedFeeModel(Money.from_str("1 USD")),
    )
    engine.add_instrument(equity(bars[0].bar_type.instrument_id))
    engine.add_data(bars)
    ml4t = ML4T(config)
    if isinstance(strategy, SizedFollower):
        strategy.ml4t = ml4t
    engine.add_actor(ml4t)
    engine.add_strategy(strategy)
    engine.run()
    return engine


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--redis", default="redis://127.0.0.1:6379", metavar="URL")
    parser.add_argument("--partition", required=True)
    parser.add_argument("--first", type=int, default=0, help="first bar of the file")
    parser.add_argument("--end", type=int, default=None, help="the bar behind the last one")
    parser.add_argument("--sized", action="store_true", help="ask for sizes, and trade them")
    args = parser.parse_args()
    strategy = (SizedFollower if args.sized else Follower)(FollowerConfig(BAR_TYPE))
    engine = run(
        ML4TConfig(args.redis, args.partition, (BAR_TYPE,)),
        read_bars(first=args.first, end=args.end),
        strategy,
    )
    balance = engine.cache.account_for_venue(Venue("SIM")).balance_total(USD)
    print(f"{len(engine.cache.orders())} orders, balance {balance}")
    engine.dispose()


if __name__ == "__main__":
    main()
