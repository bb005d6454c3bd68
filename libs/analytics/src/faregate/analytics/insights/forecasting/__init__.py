"""Forecasts of series, with a back-test beside each."""
