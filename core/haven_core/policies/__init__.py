"""What may refuse a change: hooks that the data plane calls, and the rules of projects behind them."""
