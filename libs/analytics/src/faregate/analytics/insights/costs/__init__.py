"""Return on cost, saving hints and what-if calculations."""
